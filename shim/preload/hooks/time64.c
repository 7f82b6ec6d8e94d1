/* SPDX-License-Identifier: ISC */
/* What a 32-bit program calls that was compiled with _TIME_BITS=64.  Waits are not split here as in
 * hooks/wait.c: before a long one all idle connections are given away.  But while a reused connection is in use,
 * they are the waits of hooks/wait.c: see readiness.h. */
#include "preload/hooks/hook.h"

#if REAL_TIME64

#include "preload/wire/release.h"
#include "preload/wire/waiting.h"
#include "preload/share/shared.h"
#include "preload/fds/table.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

/* As libc's own 32-bit names have it; longer than 68 years is for ever, nearly. */
static const struct timespec *shorter(const struct real_timespec64 *time, struct timespec *room)
{
    if (!time)
        return NULL;
    *room = (struct timespec){ time->tv_sec > INT32_MAX ? INT32_MAX : (time_t)time->tv_sec, time->tv_nsec };
    return room;
}

/* A wait of so long is over before it begins, because a signal came. */
static bool gives(const struct real_timespec64 *time)
{
    struct timespec room;

    release_before_sleep(shorter(time, &room));
    return shared_keeps() && waiting_is_long(shorter(time, &room)) && waiting_interrupted();
}

int __ppoll64(struct pollfd *fds, nfds_t n, const struct real_timespec64 *time, const sigset_t *mask)
{
    struct timespec room;

    if (readiness_any())
        return ppoll(fds, n, shorter(time, &room), mask);
    return gives(time) ? (int)hook_result(-EINTR) : real.__ppoll64(fds, n, time, mask);
}

int __epoll_pwait2_time64(int epfd, struct epoll_event *events, int most, const struct real_timespec64 *time,
                          const sigset_t *mask)
{
    struct timespec room;

    if (readiness_any())
        return epoll_pwait2(epfd, events, most, shorter(time, &room), mask);
    return gives(time) ? (int)hook_result(-EINTR) : real.__epoll_pwait2_time64(epfd, events, most, time, mask);
}

/* Linux leaves in *time what was not waited. */
static int select_shorter(int n, fd_set *in, fd_set *out, fd_set *except, struct real_timeval64 *time)
{
    struct timeval room = { 0 };

    if (!time || time->tv_sec < 0 || time->tv_usec < 0 || time->tv_usec > 999999)
        return time ? real.__select64(n, in, out, except, time) : select(n, in, out, except, NULL);
    room.tv_sec = time->tv_sec > INT32_MAX ? INT32_MAX : (time_t)time->tv_sec;
    room.tv_usec = (suseconds_t)time->tv_usec;
    int ready = select(n, in, out, except, &room);
    time->tv_sec = room.tv_sec;
    time->tv_usec = room.tv_usec;
    return ready;
}

int __select64(int n, fd_set *in, fd_set *out, fd_set *except, struct real_timeval64 *time)
{
    struct real_timespec64 same = { 0 };

    if (readiness_any())
        return select_shorter(n, in, out, except, time);
    if (time) {
        same.tv_sec = time->tv_sec;
        same.tv_nsec = time->tv_usec < 0 || time->tv_usec > 999999 ? 0 : (int32_t)time->tv_usec * 1000;
    }
    return gives(time ? &same : NULL) ? (int)hook_result(-EINTR) : real.__select64(n, in, out, except, time);
}

int __pselect64(int n, fd_set *in, fd_set *out, fd_set *except, const struct real_timespec64 *time,
                const sigset_t *mask)
{
    struct timespec room;

    if (readiness_any())
        return pselect(n, in, out, except, shorter(time, &room), mask);
    return gives(time) ? (int)hook_result(-EINTR) : real.__pselect64(n, in, out, except, time, mask);
}

int __nanosleep64(const struct real_timespec64 *time, struct real_timespec64 *left)
{
    if (time && gives(time))
        return (int)hook_result(-hook_unslept(left, time, sizeof *time));
    return real.__nanosleep64(time, left);
}

int __clock_nanosleep_time64(clockid_t clock, int flags, const struct real_timespec64 *time,
                             struct real_timespec64 *left)
{
    bool until = flags & TIMER_ABSTIME;

    if (time && gives(until ? NULL : time))
        return hook_unslept(until ? NULL : left, time, sizeof *time);
    return real.__clock_nanosleep_time64(clock, flags, time, left);
}

/* These convert a time stamp that comes with a message; TCP has none. */
ssize_t __recvmsg64(int fd, struct msghdr *msg, int flags)
{
    return likely(!conn_find(fd)) ? real.__recvmsg64(fd, msg, flags) : recvmsg(fd, msg, flags);
}

int __recvmmsg64(int fd, struct mmsghdr *msgs, unsigned n, real_mmsg_flags flags,
                 struct real_timespec64 *timeout)
{
    struct timespec some = { 0 }; /* which one does not matter: hooks/file.c */

    if (likely(!conn_find(fd)))
        return real.__recvmmsg64(fd, msgs, n, flags, timeout);
    return recvmmsg(fd, msgs, n, flags, timeout ? &some : NULL);
}

/* The rest are other names of the same functions in libc, too. */
ssize_t __sendmsg64(int fd, const struct msghdr *msg, int flags)
{
    return sendmsg(fd, msg, flags);
}

int __sendmmsg64(int fd, struct mmsghdr *msgs, unsigned n, real_mmsg_flags flags)
{
    return sendmmsg(fd, msgs, n, flags);
}

int __getsockopt64(int fd, int level, int name, void *value, socklen_t *len)
{
    return getsockopt(fd, level, name, value, len);
}

int __setsockopt64(int fd, int level, int name, const void *value, socklen_t len)
{
    return setsockopt(fd, level, name, value, len);
}

int __fcntl_time64(int fd, int command, ...)
{
    void *argument[1];
    REAL_WORDS(argument, command);
    return fcntl64(fd, command, argument[0]);
}

int __ioctl_time64(int fd, real_ioctl_request request, ...)
{
    void *argument[1];
    REAL_WORDS(argument, request);
    return ioctl(fd, request, argument[0]);
}

int __prctl_time64(int option, ...)
{
    unsigned long a[4];
    REAL_WORDS(a, option);
    return prctl(option, a[0], a[1], a[2], a[3]);
}

#endif
