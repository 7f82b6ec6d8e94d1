/* SPDX-License-Identifier: ISC */
/* The command line and what the cases have in common: see connects.h.
 *     connects --list                                  connects PORT_A PORT_B CASE VARIANT [nonblocking] [syscall] */
#define _GNU_SOURCE
#include "connects.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/older_libc.h"

struct sockaddr_in to_a, to_b, to_nowhere;
bool nonblocking, by_syscall;

struct sockaddr *addr(struct sockaddr_in *to)
{
    return (struct sockaddr *)to;
}

void said(const char *what, long result)
{
    if (result < 0)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: %ld\n", what, result);
}

void wait_for(int fd, short events)
{
    struct pollfd wait = { .fd = fd, .events = events };

    poll(&wait, 1, 2000);
}

int new_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0), 0);
}

int do_connect(int fd, struct sockaddr_in *to)
{
    return by_syscall ? (int)syscall(SYS_connect, fd, to, sizeof *to) : connect(fd, addr(to), sizeof *to);
}

/* A non-blocking one on loopback may be answered at once: only the end of it is the same each time. */
void say_connect(int fd, const char *what, struct sockaddr_in *to)
{
    int result = do_connect(fd, to);

    if (result < 0 && errno == EINPROGRESS) {
        int error = 0;
        socklen_t len = sizeof error;
        wait_for(fd, POLLOUT);
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
        errno = error;
        result = error ? -1 : 0;
    }
    said(what, result);
}

void unspec(int fd)
{
    struct sockaddr_in none = { .sin_family = AF_UNSPEC };

    said("AF_UNSPEC", do_connect(fd, &none));
}

void ask(int fd)
{
    static const char request[] = "GET /bytes/100 HTTP/1.0\r\n\r\n";
    ssize_t sent = by_syscall ? syscall(SYS_sendto, fd, request, sizeof request - 1, MSG_NOSIGNAL, NULL, 0)
                              : send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    said("asked", sent);
}

static ssize_t read_on(int fd, char *bytes, size_t room)
{
    ssize_t n;

    while ((n = read(fd, bytes, room)) < 0 && errno == EAGAIN)
        wait_for(fd, POLLIN);
    return n;
}

void hear(int fd, const char *what)
{
    char text[4096];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof text - 1 && (n = read_on(fd, text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    char *body = strstr(text, "\r\n\r\n");
    printf("%s: %.3s, %zu bytes, end %s\n", what, len > 12 ? text + 9 : "-", body ? len - (size_t)(body + 4 - text) : 0,
           n < 0 ? strerrorname_np(errno) : "ok");
}

void hear_some(int fd)
{
    char text[4096];
    size_t len = 0;
    ssize_t n = 1;

    while (n > 0 && !(memmem(text, len, "\r\n\r\n", 4) && len > 200) && len < sizeof text)
        if ((n = read_on(fd, text + len, sizeof text - len)) > 0)
            len += (size_t)n;
}

void get(struct sockaddr_in *to, const char *what)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, addr(to), sizeof *to) != 0) {
        said(what, -1);
    } else {
        ask(fd);
        hear(fd, what);
    }
    close(fd);
}

int fds_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

long raw_close(int fd)
{
#if defined __x86_64__
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_close), "D"(fd) : "rcx", "r11", "memory");
    return result;
#elif defined __aarch64__
    register long x8 __asm__("x8") = SYS_close, x0 __asm__("x0") = fd;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8) : "memory");
    return x0;
#else
    return close(fd);
#endif
}

static const struct work *const all[] = { again_cases, past_cases, lost_cases };

static int list(void)
{
    for (int i = 0; i < 3; i++)
        for (const struct work *w = all[i]; w->name; w++)
            printf("%s %s\n", w->name, w->variants);
    return 0;
}

/* A port that is bound and not listened on is nobody else's, and refuses. */
static void find_nowhere(void)
{
    socklen_t len = sizeof to_nowhere;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    bind(fd, addr(&to_nowhere), len);
    getsockname(fd, addr(&to_nowhere), &len);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return list();
    if (argc < 5)
        return 2;
    to_a = to_b = to_nowhere = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to_a.sin_port = htons((uint16_t)atoi(argv[1]));
    to_b.sin_port = htons((uint16_t)atoi(argv[2]));
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 5; i < argc; i++) {
        nonblocking |= strcmp(argv[i], "nonblocking") == 0;
        by_syscall |= strcmp(argv[i], "syscall") == 0;
    }
    find_nowhere();
    for (int i = 0; i < 3; i++)
        for (const struct work *w = all[i]; w->name; w++)
            if (strcmp(w->name, argv[3]) == 0)
                w->function(argv[4]);
    return 0;
}
