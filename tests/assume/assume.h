/* SPDX-License-Identifier: ISC */
/* For the programs that show what is relied on of the kernel: each states its facts by check(), and
 * exits with 0 if they hold, 1 if one does not, 77 if that cannot be found out here. */
#ifndef ASSUME_H
#define ASSUME_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SKIPPED = 77, SOON_MS = 200, LATE_MS = 5000 };

static inline void check(bool holds, const char *fact)
{
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s (errno %d, %s)\n", fact, errno, strerror(errno));
    exit(1);
}

static inline void skip(const char *why)
{
    printf("skipped: %s\n", why);
    exit(SKIPPED);
}

/* A failure here says nothing about the facts. */
static inline void need(bool holds, const char *what)
{
    if (holds)
        return;
    printf("skipped: %s: %s\n", what, strerror(errno));
    exit(SKIPPED);
}

static inline int listen_here(struct sockaddr_in *at)
{
    socklen_t size = sizeof(*at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    need(fd >= 0 && bind(fd, (struct sockaddr *)at, size) == 0 && listen(fd, 16) == 0, "listen");
    need(getsockname(fd, (struct sockaddr *)at, &size) == 0, "getsockname");
    return fd;
}

/* ours and theirs: a TCP connection over loopback. */
static inline void tcp_pair(int *ours, int *theirs)
{
    struct sockaddr_in at;
    int listener = listen_here(&at);

    *ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(connect(*ours, (struct sockaddr *)&at, sizeof(at)) == 0, "connect");
    *theirs = accept(listener, NULL, NULL);
    need(*theirs >= 0, "accept");
    close(listener);
}

/* What poll says of fd within `ms`, asked for IN, OUT and RDHUP (0x2000, which needs _GNU_SOURCE). */
static inline unsigned poll_for(int fd, short events, int ms)
{
    struct pollfd p = { .fd = fd, .events = events };

    return poll(&p, 1, ms) > 0 ? (unsigned)p.revents : 0;
}

/* Our end of a pair whose far end has ended its side, and stays open. */
static inline int ended_socket(int *theirs)
{
    int ours;

    tcp_pair(&ours, theirs);
    need(shutdown(*theirs, SHUT_WR) == 0, "shutdown");
    need(poll_for(ours, POLLIN, LATE_MS) & POLLIN, "the end arrives");
    return ours;
}

static inline void epoll_change(int set, int op, int fd, unsigned events)
{
    struct epoll_event e = { .events = events, .data.fd = fd };

    check(epoll_ctl(set, op, fd, &e) == 0, "epoll_ctl");
}

/* The events of the one fd in the set, or 0 after `ms`. */
static inline unsigned epoll_next(int set, int ms)
{
    struct epoll_event e = { 0 };

    return epoll_wait(set, &e, 1, ms) == 1 ? e.events : 0;
}

static inline pthread_t begin(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    need(pthread_create(&thread, NULL, run, arg) == 0, "pthread_create");
    usleep(50 * 1000); /* let it get into its call */
    return thread;
}

/* The thread's result, or -1000 if it does not come back within LATE_MS. */
static inline long finish(pthread_t thread)
{
    struct timespec until;
    void *result = NULL;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LATE_MS / 1000;
    return pthread_timedjoin_np(thread, &result, &until) == 0 ? (long)result : -1000;
}

#endif
