/* SPDX-License-Identifier: ISC */
/* What programs do to descriptors that they do not know. */
#define _GNU_SOURCE
#include "surface.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/older_libc.h"

void op_close_loop(struct talk *t)
{
    int closed = 0;

    for (int fd = 3; fd < 1024; fd++)
        closed += close(fd) == 0;
    say("%d closed", closed);
}

void op_close_loop_raw(struct talk *t)
{
    int closed = 0;

    for (int fd = 3; fd < 1024; fd++)
        closed += syscall(SYS_close, fd) == 0;
    say("%d closed", closed);
}

void op_close_range(struct talk *t)
{
    said("close_range", close_range(3, ~0u, 0));
    said("is", fcntl(t->fd, F_GETFD));
}

void op_close_range_above(struct talk *t)
{
    said("close_range", close_range((unsigned)t->fd + 1, ~0u, 0));
    talk_end(t);
}

void op_close_range_one(struct talk *t)
{
    said("close_range", close_range((unsigned)t->fd, (unsigned)t->fd, 0));
    said("is", fcntl(t->fd, F_GETFD));
    said("close", close(t->fd));
}

void op_close_range_cloexec(struct talk *t)
{
    said("close_range", close_range(3, ~0u, CLOSE_RANGE_CLOEXEC));
    said("flags", fcntl(t->fd, F_GETFD));
    talk_finish(t);
    said("flags", fcntl(t->fd, F_GETFD));
    said("close", close(t->fd));
}

void op_close_range_bad(struct talk *t)
{
    said("backwards", close_range(10, 9, 0));
    said("flags", close_range(3, ~0u, 77));
    said("unshare", close_range(500, ~0u, CLOSE_RANGE_UNSHARE));
    talk_end(t);
}

void op_closefrom(struct talk *t)
{
    closefrom(3);
    said("is", fcntl(t->fd, F_GETFD));
}

void op_closefrom_above(struct talk *t)
{
    closefrom(t->fd + 1);
    talk_end(t);
}

/* As those do who look into /proc/self/fd first. */
void op_close_proc(struct talk *t)
{
    DIR *dir = opendir("/proc/self/fd");

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != t->fd && fd != dirfd(dir))
            close(fd);
    }
    said("closedir", closedir(dir));
    talk_end(t);
}

static int dup_onto_all(int from, int except)
{
    int done = 0;

    for (int fd = 3; fd < 1024; fd++)
        if (fd != except && fd != from)
            done += dup2(from, fd) == fd;
    return done;
}

void op_dup2_all(struct talk *t)
{
    int null = open("/dev/null", O_RDONLY);

    say("%d done", dup_onto_all(null, t->fd));
    talk_end(t);
    int closed = 0;
    for (int fd = 3; fd < 1024; fd++)
        closed += close(fd) == 0;
    say("%d closed", closed);
}

void op_dup2_all_socket(struct talk *t)
{
    say("%d done", dup_onto_all(t->fd, -1));
    talk_finish(t);
    char byte;
    if (!run.keep)
        said("read from a copy", read(700, &byte, 1));
    int closed = 0;
    for (int fd = 3; fd < 1024; fd++)
        closed += close(fd) == 0;
    say("%d closed", closed);
}

static void limit(rlim_t soft)
{
    struct rlimit r;

    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
    said("setrlimit", setrlimit(RLIMIT_NOFILE, &r));
}

void op_rlimit(struct talk *t)
{
    limit(64);
    talk_end(t);
    talk_whole(3);
    limit(1024);
}

void op_rlimit_low(struct talk *t)
{
    limit((rlim_t)t->fd + 1);
    talk_finish(t);
    said("dup", dup(t->fd));
    said("close", close(t->fd));
    talk_whole(3);
    limit(0);
    said("socket", talk_socket());
    limit(1024);
}

static int fill(int *fds, int max)
{
    int n = 0;

    while (n < max && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
        n++;
    said("open", n < max ? -1 : 0);
    return n;
}

/* All numbers are used up; the exchange goes on, and others work with the one that it frees. */
void op_emfile(struct talk *t)
{
    int fds[256];

    limit(200);
    int n = fill(fds, 256);
    say("%d opened", n);
    said("socket", talk_socket());
    said("dup", dup(t->fd));
    talk_end(t);
    talk_whole(3);
    int more[4];
    say("%d more", fill(more, 4));
    close(more[0]);
    while (n > 0)
        close(fds[--n]);
    talk_whole(2);
}

/* Sixteen sockets at once when there is room for just so many. */
void op_emfile_one(struct talk *unused)
{
    int fds[256];
    struct talk t[16];

    limit(200);
    int n = fill(fds, 256);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 16; i++)
            close(fds[--n]);
        for (int i = 0; i < 16; i++) {
            talk_init(&t[i]);
            talk_reach(&t[i], i % 2 ? STATE_MIDDLE : STATE_SENT);
        }
        for (int i = 0; i < 16; i++)
            talk_end(&t[i]);
        for (int i = 0; i < 16; i++)
            if ((fds[n] = open("/dev/null", O_RDONLY)) >= 0)
                n++;
        said("socket", talk_socket());
        say("%d", n);
    }
    while (n > 0)
        close(fds[--n]);
}

/* The program itself uses high numbers, and more than select can watch. */
void op_high_numbers(struct talk *unused)
{
    static int fds[1500];
    int n = 0;

    limit(1024);
    while ((fds[n] = open("/dev/null", O_RDONLY)) >= 0 && fds[n] < 960)
        n++;
    talk_whole(3);
    limit(1400);
    while (n < 1300 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
        n++;
    say("%d", n);
    talk_whole(3);
    while (n > 0)
        close(fds[--n]);
}
