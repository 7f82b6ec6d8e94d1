/* SPDX-License-Identifier: ISC */
/* older_libc: what test programs call, and glibc before 2.35 lacks; to be included behind the system's headers.  A call
 * that the library exports is the library's where it is preloaded, and the kernel's otherwise: as with a newer libc. */
#ifndef HOLDFAST_TESTS_OLDER_LIBC_H
#define HOLDFAST_TESTS_OLDER_LIBC_H

#include <features.h>

#ifdef __GLIBC__ /* __GLIBC_PREREQ is its own */
#if !__GLIBC_PREREQ(2, 35)

#include "base/syscalls.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

int epoll_pwait2(int, struct epoll_event *, int, const struct timespec *, const sigset_t *) __attribute__((weak));
static inline int older_epoll_pwait2(int epoll, struct epoll_event *events, int most, const struct timespec *wait,
                                     const sigset_t *mask)
{
    if (epoll_pwait2)
        return epoll_pwait2(epoll, events, most, wait, mask);
    return (int)syscall(SYS_epoll_pwait2, epoll, events, most, wait, mask, _NSIG / 8);
}
#define epoll_pwait2 older_epoll_pwait2

#if !__GLIBC_PREREQ(2, 34)

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif

int close_range(unsigned, unsigned, int) __attribute__((weak));
static inline int older_close_range(unsigned first, unsigned last, int flags)
{
    return close_range ? close_range(first, last, flags) : (int)syscall(SYS_close_range, first, last, flags);
}
#define close_range older_close_range

void closefrom(int) __attribute__((weak));
static inline void older_closefrom(int first)
{
    if (closefrom)
        closefrom(first);
    else
        syscall(SYS_close_range, first, ~0u, 0);
}
#define closefrom older_closefrom

pid_t _Fork(void) __attribute__((weak));
static inline pid_t older_Fork(void)
{
    return _Fork ? _Fork() : fork();
}
#define _Fork older_Fork

#endif

#if !__GLIBC_PREREQ(2, 32)

static inline const char *older_strerrorname_np(int error)
{
    switch (error) {
#define NAME(name) case name: return #name;
    NAME(E2BIG) NAME(EACCES) NAME(EADDRINUSE) NAME(EADDRNOTAVAIL) NAME(EAFNOSUPPORT) NAME(EAGAIN) NAME(EALREADY)
    NAME(EBADF) NAME(EBUSY) NAME(ECANCELED) NAME(ECHILD) NAME(ECONNABORTED) NAME(ECONNREFUSED) NAME(ECONNRESET)
    NAME(EDESTADDRREQ) NAME(EDOM) NAME(EEXIST) NAME(EFAULT) NAME(EFBIG) NAME(EHOSTUNREACH) NAME(EINPROGRESS)
    NAME(EINTR) NAME(EINVAL) NAME(EIO) NAME(EISCONN) NAME(EISDIR) NAME(ELOOP) NAME(EMFILE) NAME(EMSGSIZE)
    NAME(ENAMETOOLONG) NAME(ENETDOWN) NAME(ENETUNREACH) NAME(ENFILE) NAME(ENOBUFS) NAME(ENODEV) NAME(ENOENT)
    NAME(ENOEXEC) NAME(ENOMEM) NAME(ENOPROTOOPT) NAME(ENOSPC) NAME(ENOSYS) NAME(ENOTCONN) NAME(ENOTDIR)
    NAME(ENOTSOCK) NAME(ENOTSUP) NAME(ENOTTY) NAME(ENXIO) NAME(EOVERFLOW) NAME(EPERM) NAME(EPIPE)
    NAME(EPROTO) NAME(EPROTONOSUPPORT) NAME(EPROTOTYPE) NAME(ERANGE) NAME(EROFS) NAME(ESPIPE) NAME(ESRCH)
    NAME(ETIMEDOUT) NAME(ETOOMANYREFS) NAME(EXDEV)
#undef NAME
    default: return 0;
    }
}
#define strerrorname_np older_strerrorname_np

#endif
#endif
#endif
#endif
