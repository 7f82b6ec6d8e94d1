/* SPDX-License-Identifier: ISC */
/* Waiting: wire/waiting.h says how. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/conn/deferred.h"
#include "preload/wire/waiting.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#pragma GCC diagnostic ignored "-Wvla" /* as large as the caller's own sets, and no larger: its stack may be small */

int poll(struct pollfd *fds, nfds_t n, int ms)
{
    struct timespec room;
    const struct timespec *time = readiness_time(ms, &room);
    struct wait w;
    int saved = errno;

    readiness_of_poll(&w, false, fds, n);
    int result = waiting_for(&w, time, NULL);
    if (result >= 0 || (errno != EPERM && errno != EACCES && errno != ENOSYS))
        return result;
    errno = saved; /* a policy refuses ppoll, by which a wait is split, and not poll */
    return readiness_wait(&w, time, NULL);
}

int __poll(struct pollfd *fds, nfds_t n, int ms)
{
    return poll(fds, n, ms);
}

/* A fortified program's. */
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room)
{
    return room / sizeof *fds >= n ? poll(fds, n, ms) : real.__poll_chk(fds, n, ms, room);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask)
{
    struct wait w;

    readiness_of_poll(&w, true, fds, n);
    return waiting_for(&w, time, mask);
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask, size_t room)
{
    return room / sizeof *fds >= n ? ppoll(fds, n, time, mask) : real.__ppoll_chk(fds, n, time, mask, room);
}

int epoll_wait(int epfd, struct epoll_event *events, int most, int ms)
{
    struct timespec room;
    struct wait w;

    readiness_of_epoll(&w, READINESS_WAIT, epfd, events, most);
    return waiting_for(&w, readiness_time(ms, &room), NULL);
}

int epoll_pwait(int epfd, struct epoll_event *events, int most, int ms, const sigset_t *mask)
{
    struct timespec room;
    struct wait w;

    readiness_of_epoll(&w, READINESS_PWAIT, epfd, events, most);
    return waiting_for(&w, readiness_time(ms, &room), mask);
}

int epoll_pwait2(int epfd, struct epoll_event *events, int most, const struct timespec *time, const sigset_t *mask)
{
    struct wait w;

    readiness_of_epoll(&w, READINESS_PWAIT2, epfd, events, most);
    return waiting_for(&w, time, mask);
}

/* Linux leaves in *time what was not waited; pselect does not. */
static void subtract(struct timeval *time, const struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long us = (now.tv_sec - since->tv_sec) * 1000000L + (now.tv_nsec - since->tv_nsec) / 1000;
    time->tv_sec -= us / 1000000;
    time->tv_usec -= us % 1000000;
    if (time->tv_usec < 0) {
        time->tv_usec += 1000000;
        time->tv_sec--;
    }
    if (time->tv_sec < 0)
        *time = (struct timeval){ 0 };
}

static int special_select(int n, fd_set *const given[3], struct timeval *time)
{
    struct timespec since, whole = { 0 };
    unsigned long room[3 * readiness_words(n)];
    struct wait w;

    if (time)
        whole = (struct timespec){ .tv_sec = time->tv_sec, .tv_nsec = time->tv_usec * 1000L };
    readiness_of_select(&w, false, n, given, room);
    clock_gettime(CLOCK_MONOTONIC, &since);
    int result = waiting_for(&w, time ? &whole : NULL, NULL);
    int saved = errno;
    if (time)
        subtract(time, &since);
    errno = saved;
    return result;
}

/* A time that the kernel will refuse, or set to rights, is its own to see. */
int select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *time)
{
    bool odd = time && (time->tv_sec < 0 || time->tv_usec < 0 || time->tv_usec >= 1000000);
    fd_set *const given[3] = { in, out, except };

    if (!odd && n >= 0 && n <= READINESS_SELECTED && waiting_is_special())
        return special_select(n, given, time);
    deferred_before_wait();
    return real.select(n, in, out, except, time);
}

int __select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *time)
{
    return select(n, in, out, except, time);
}

int pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *time,
            const sigset_t *mask)
{
    fd_set *const given[3] = { in, out, except };
    unsigned long room[3 * readiness_words(n)];
    struct wait w;

    readiness_of_select(&w, true, n, given, room);
    return waiting_for(&w, time, mask);
}
