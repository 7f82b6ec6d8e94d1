/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int port;

static const char help[] =
    "usage: threads PORT MODE [ARGUMENTS]     against tests/origin/origin.c\n"
    "  alone THREADS EXCHANGES [SEED]\n"
    "  shared ROUNDS GROUPS [SEED]\n"
    "  timer KIND EXCHANGES [SEED]   KIND: count, restart, request, read, close, victims, threads\n"
    "  cancel KIND TIMES [SEED]      KIND: deferred, asynchronous\n"
    "  stray ROUNDS [SEED]\n";

long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_us(long us)
{
    struct timespec left = { us / 1000000, us % 1000000 * 1000 };

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

void need(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    exit(2);
}

int fds_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* By the kernel's own list: a program is not shown what holdfast has open. */
int fds_in_all(void)
{
    int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = -3; /* ., .., its own */
    _Alignas(long) char entries[4096];
    long len;

    while ((len = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
        for (long at = 0; at < len; n++) {
            unsigned short size;
            memcpy(&size, entries + at + 16, sizeof size); /* d_reclen, getdents(2) */
            at += size;
        }
    close(fd);
    return n;
}

unsigned random_next(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8 ^ *state << 13 ^ *state >> 21;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } modes[] = { { "alone", alone }, { "shared", shared }, { "timer", timer }, { "cancel", cancel },
                { "stray", stray_mode } };

    signal(SIGPIPE, SIG_IGN);
    pattern_init();
    for (size_t i = 0; argc >= 4 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[2], modes[i].name) == 0) {
            port = atoi(argv[1]);
            return modes[i].run(argc - 3, argv + 3);
        }
    fputs(help, stderr);
    return 2;
}
