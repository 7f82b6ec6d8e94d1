/* SPDX-License-Identifier: ISC */
/* syscall(2): programs that call the kernel past libc's wrappers, but not past libc.  What concerns a
 * tracked socket takes the same way as the wrapper; all else goes on with all six arguments. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "base/raw.h"
#include "base/syscalls.h"
#include "preload/fds/confined.h"
#include "preload/conn/deferred.h"
#include "preload/life/exit.h"
#include "preload/life/rings.h"
#include "preload/self/self.h"

#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LANDLOCK_RESTRICT_SELF = 446 }; /* everywhere, whether libc knows it or not */

/* Calls on an fd.  False: not one of these. */
static bool on_fd(long number, const long a[6], long *result)
{
    int fd = (int)a[0];

    switch (number) {
    case SYS_close:
        *result = close(fd);
        return true;
    case SYS_dup:
        *result = dup(fd);
        return true;
    case SYS_dup3:
        *result = dup3(fd, (int)a[1], (int)a[2]);
        return true;
#ifdef SYS_dup2
    case SYS_dup2:
        *result = dup2(fd, (int)a[1]);
        return true;
#endif
    case RAW_FCNTL:
        *result = fcntl(fd, (int)a[1], a[2]);
        return true;
    case SYS_ioctl:
        *result = ioctl(fd, (real_ioctl_request)a[1], a[2]);
        return true;
    case SYS_read:
        *result = read(fd, (void *)a[1], (size_t)a[2]);
        return true;
    case SYS_write:
        *result = write(fd, (const void *)a[1], (size_t)a[2]);
        return true;
    case SYS_readv:
        *result = readv(fd, (const struct iovec *)a[1], (int)a[2]);
        return true;
    case SYS_writev:
        *result = writev(fd, (const struct iovec *)a[1], (int)a[2]);
        return true;
    default:
        return false;
    }
}

static bool on_socket(long number, const long a[6], long *result)
{
    int fd = (int)a[0];

    switch (number) {
#ifdef SYS_sendto
    case SYS_socket:
        *result = socket(fd, (int)a[1], (int)a[2]);
        return true;
    case SYS_connect:
        *result = connect(fd, (const struct sockaddr *)a[1], (socklen_t)a[2]);
        return true;
    case SYS_bind:
        *result = bind(fd, (const struct sockaddr *)a[1], (socklen_t)a[2]);
        return true;
    case SYS_listen:
        *result = listen(fd, (int)a[1]);
        return true;
    case SYS_sendto:
        *result = sendto(fd, (const void *)a[1], (size_t)a[2], (int)a[3],
                         (const struct sockaddr *)a[4], (socklen_t)a[5]);
        return true;
    case SYS_recvfrom:
        *result = recvfrom(fd, (void *)a[1], (size_t)a[2], (int)a[3], (struct sockaddr *)a[4],
                           (socklen_t *)a[5]);
        return true;
    case SYS_sendmsg:
        *result = sendmsg(fd, (const struct msghdr *)a[1], (int)a[2]);
        return true;
    case SYS_recvmsg:
        *result = recvmsg(fd, (struct msghdr *)a[1], (int)a[2]);
        return true;
    case SYS_shutdown:
        *result = shutdown(fd, (int)a[1]);
        return true;
    case SYS_setsockopt:
        *result = setsockopt(fd, (int)a[1], (int)a[2], (const void *)a[3], (socklen_t)a[4]);
        return true;
    case SYS_getsockopt:
        *result = getsockopt(fd, (int)a[1], (int)a[2], (void *)a[3], (socklen_t *)a[4]);
        return true;
    case SYS_getpeername:
        *result = getpeername(fd, (struct sockaddr *)a[1], (socklen_t *)a[2]);
        return true;
    case SYS_getsockname:
        *result = getsockname(fd, (struct sockaddr *)a[1], (socklen_t *)a[2]);
        return true;
#endif
    default:
        return false;
    }
}

/* Only where the kernel's types are libc's: long is 64 bits. */
static bool on_several(long number, const long a[6], long *result)
{
    (void)number, (void)a, (void)result;
#if __SIZEOF_LONG__ == 8
    switch (number) {
    case SYS_sendmmsg:
        *result = sendmmsg((int)a[0], (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3]);
        return true;
    case SYS_recvmmsg:
        *result = recvmmsg((int)a[0], (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3], (struct timespec *)a[4]);
        return true;
    case SYS_sendfile:
        *result = sendfile((int)a[0], (int)a[1], (off_t *)a[2], (size_t)a[3]);
        return true;
    case SYS_preadv2: /* the upper half of the position is not looked at */
        *result = preadv2((int)a[0], (const struct iovec *)a[1], (int)a[2], (off_t)a[3], (int)a[5]);
        return true;
    case SYS_pwritev2:
        *result = pwritev2((int)a[0], (const struct iovec *)a[1], (int)a[2], (off_t)a[3], (int)a[5]);
        return true;
    case SYS_splice:
        *result = splice((int)a[0], (int64_t *)a[1], (int)a[2], (int64_t *)a[3], (size_t)a[4], (unsigned)a[5]);
        return true;
    default:
        break;
    }
#endif
    return false;
}

static bool on_process(long number, const long a[6], long *result)
{
    switch (number) {
    case SYS_epoll_ctl:
        *result = epoll_ctl((int)a[0], (int)a[1], (int)a[2], (struct epoll_event *)a[3]);
        return true;
#ifdef SYS_close_range
    case SYS_close_range:
        *result = close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]);
        return true;
#endif
#ifdef SYS_io_uring_setup
    case SYS_io_uring_setup:
        *result = real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (*result >= 0)
            rings_begin();
        return true;
    case SYS_io_uring_enter: /* a ring that the process was given */
        rings_begin();
        return false;
#endif
    case SYS_execve:
        *result = execve((const char *)a[0], (char *const *)a[1], (char *const *)a[2]);
        return true;
    case SYS_prctl:
        *result = prctl((int)a[0], a[1], a[2], a[3], a[4]);
        return true;
    case LANDLOCK_RESTRICT_SELF:
        confined_note();
        return false;
    case SYS_seccomp:
        if (self_is_ours())
            exit_retire();
        return false;
    default:
        return false;
    }
}

/* It takes six arguments whatever the caller gave, as libc's own does: AddressSanitizer sees a read of the
 * caller's stack there. */
__attribute__((no_sanitize("address"))) long syscall(long number, ...)
{
    long a[6], result;
    REAL_WORDS(a, number);

    if (self.active && number != SYS_futex &&
        (on_fd(number, a, &result) || on_socket(number, a, &result) ||
         on_several(number, a, &result) || on_process(number, a, &result)))
        return result;
    if ((self.active || self.retired) && number != SYS_futex && hook_identity_syscall(number, a, &result))
        return result; /* who has retired still has what the tree shares */
    if (number != SYS_futex)
        deferred_before_wait();
    return real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
