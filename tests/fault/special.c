/* SPDX-License-Identifier: ISC */
/* Calls that can fall short, or that have done their work when they fail, and variadic ones.
 * No _GNU_SOURCE: see shim/preload/hooks/connect.c. */
#include "preload/libc/real.h"

#include "fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define EXPORTED __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)
#define NEXT(name)                             \
    static __typeof__(&name) next;             \
    if (!next)                                 \
        *(void **)&next = fault_next(#name)

static size_t shorter(size_t len, enum fault_what what)
{
    if (what == FAULT_ONE)
        return len ? 1 : 0;
    return what == FAULT_HALF ? (len + 1) / 2 : len;
}

static bool is_short(struct fault fault)
{
    return fault.what == FAULT_ONE || fault.what == FAULT_HALF;
}

/* The pieces up to `len` bytes. */
static int cut(struct iovec *out, const struct iovec *iov, int n, size_t len)
{
    int used = 0;

    for (; used < n && len; used++) {
        out[used] = iov[used];
        if (out[used].iov_len > len)
            out[used].iov_len = len;
        len -= out[used].iov_len;
    }
    return used;
}

static size_t total(const struct iovec *iov, int n)
{
    size_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += iov[i].iov_len;
    return sum;
}

/* 0 or -1: what a receive answers; 1: make the real call. */
static int receive_fault(struct fault fault, int fd)
{
    if (fault.what == FAULT_EOF) {
        fault_break(fd, 0);
        return 0;
    }
    if (fault.what != FAULT_ERRNO)
        return 1;
    if (fault.error == EAGAIN)
        fault_rearm(fd);
    fault_break(fd, fault.error);
    errno = fault.error;
    return -1;
}

static int send_fault(struct fault fault, int fd, int flags)
{
    if (fault.what != FAULT_ERRNO)
        return 1;
    if (fault.error == EAGAIN)
        fault_rearm(fd);
    fault_break(fd, fault.error);
    if (fault.error == EPIPE && !(flags & MSG_NOSIGNAL))
        raise(SIGPIPE);
    errno = fault.error;
    return -1;
}

EXPORTED ssize_t read(int fd, void *buf, size_t len)
{
    NEXT(read);
    struct fault fault = fault_meet("read", fd, true, CALLER);
    int answer = receive_fault(fault, fd);
    return answer < 1 ? answer : next(fd, buf, shorter(len, fault.what));
}

EXPORTED ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    NEXT(recv);
    struct fault fault = fault_meet("recv", fd, true, CALLER);
    int answer = receive_fault(fault, fd);
    return answer < 1 ? answer : next(fd, buf, shorter(len, fault.what), flags);
}

EXPORTED ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from, socklen_t *fromlen)
{
    NEXT(recvfrom);
    struct fault fault = fault_meet("recvfrom", fd, true, CALLER);
    int answer = receive_fault(fault, fd);
    return answer < 1 ? answer : next(fd, buf, shorter(len, fault.what), flags, from, fromlen);
}

EXPORTED ssize_t readv(int fd, const struct iovec *iov, int n)
{
    NEXT(readv);
    struct fault fault = fault_meet("readv", fd, true, CALLER);
    int answer = receive_fault(fault, fd);
    struct iovec part[64];
    if (answer < 1 || !is_short(fault) || n > 64)
        return answer < 1 ? answer : next(fd, iov, n);
    return next(fd, part, cut(part, iov, n, shorter(total(iov, n), fault.what)));
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    NEXT(recvmsg);
    struct fault fault = fault_meet("recvmsg", fd, true, CALLER);
    int answer = receive_fault(fault, fd), n = (int)msg->msg_iovlen;
    struct iovec part[64];
    if (answer < 1 || !is_short(fault) || n > 64)
        return answer < 1 ? answer : next(fd, msg, flags);
    struct msghdr less = *msg;
    less.msg_iov = part;
    less.msg_iovlen = (size_t)cut(part, msg->msg_iov, n, shorter(total(msg->msg_iov, n), fault.what));
    ssize_t got = next(fd, &less, flags);
    msg->msg_namelen = less.msg_namelen;
    msg->msg_controllen = less.msg_controllen;
    msg->msg_flags = less.msg_flags;
    return got;
}

EXPORTED ssize_t write(int fd, const void *buf, size_t len)
{
    NEXT(write);
    struct fault fault = fault_meet("write", fd, true, CALLER);
    return send_fault(fault, fd, 0) < 0 ? -1 : next(fd, buf, shorter(len, fault.what));
}

EXPORTED ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    NEXT(send);
    struct fault fault = fault_meet("send", fd, true, CALLER);
    return send_fault(fault, fd, flags) < 0 ? -1 : next(fd, buf, shorter(len, fault.what), flags);
}

EXPORTED ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
                        socklen_t tolen)
{
    NEXT(sendto);
    struct fault fault = fault_meet("sendto", fd, true, CALLER);
    return send_fault(fault, fd, flags) < 0 ? -1 : next(fd, buf, shorter(len, fault.what), flags, to, tolen);
}

EXPORTED ssize_t writev(int fd, const struct iovec *iov, int n)
{
    NEXT(writev);
    struct fault fault = fault_meet("writev", fd, true, CALLER);
    struct iovec part[64];
    if (send_fault(fault, fd, 0) < 0)
        return -1;
    if (!is_short(fault) || n > 64)
        return next(fd, iov, n);
    return next(fd, part, cut(part, iov, n, shorter(total(iov, n), fault.what)));
}

EXPORTED ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    NEXT(sendmsg);
    struct fault fault = fault_meet("sendmsg", fd, true, CALLER);
    int n = (int)msg->msg_iovlen;
    struct iovec part[64];
    if (send_fault(fault, fd, flags) < 0)
        return -1;
    if (!is_short(fault) || n > 64)
        return next(fd, msg, flags);
    struct msghdr less = *msg;
    less.msg_iov = part;
    less.msg_iovlen = (size_t)cut(part, msg->msg_iov, n, shorter(total(msg->msg_iov, n), fault.what));
    return next(fd, &less, flags);
}

/* An interrupted connect goes on by itself; a refused one leaves the socket as it was. */
EXPORTED int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    NEXT(connect);
    struct fault fault = fault_meet("connect", fd, true, CALLER);
    if (fault.what == FAULT_ERRNO && fault.error == EINTR)
        next(fd, to, len);
    if (fault.what != FAULT_ERRNO)
        return next(fd, to, len);
    errno = fault.error;
    return -1;
}

/* Whatever it answers, the number is free (close(2)). */
EXPORTED int close(int fd)
{
    NEXT(close);
    struct fault fault = fault_meet("close", fd, true, CALLER);
    int result = next(fd);
    if (fault.what != FAULT_ERRNO)
        return result;
    errno = fault.error;
    return -1;
}

/* So does this (fclose(3)). */
EXPORTED int fclose(FILE *stream)
{
    NEXT(fclose);
    struct fault fault = fault_meet("fclose", 0, true, CALLER);
    int result = next(stream);
    if (fault.what != FAULT_ERRNO)
        return result;
    errno = fault.error;
    return EOF;
}

EXPORTED int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    static int (*next)(int, int, int, struct epoll_event *);
    if (!next)
        *(void **)&next = fault_next("epoll_ctl");
    struct fault fault = fault_meet("epoll_ctl", fd, true, CALLER);
    if (fault.what == FAULT_ERRNO) {
        errno = fault.error;
        return -1;
    }
    int result = next(epfd, op, fd, event);
    if (result == 0)
        fault_note_registration(epfd, op, fd, event);
    return result;
}

#define FAIL_IF_TOLD(name, first, table, failure)                           \
    struct fault fault = fault_meet(name, (long)(first), table, CALLER);    \
    if (fault.what == FAULT_ERRNO) {                                        \
        errno = fault.error;                                                \
        return failure;                                                     \
    }

#define THIRD(last)                     \
    va_list ap;                         \
    va_start(ap, last);                 \
    void *third = va_arg(ap, void *);   \
    va_end(ap)

/* They fail for different reasons. */
static const char *fcntl_name(int command)
{
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? "fcntl-dup"
           : command == F_SETFL || command == F_SETFD       ? "fcntl-set"
                                                            : "fcntl-get";
}

EXPORTED int fcntl(int fd, int command, ...)
{
    NEXT(fcntl);
    THIRD(command);
    FAIL_IF_TOLD(fcntl_name(command), fd, true, -1);
    return next(fd, command, third);
}

int fcntl64(int fd, int command, ...);
EXPORTED int fcntl64(int fd, int command, ...)
{
    NEXT(fcntl64);
    THIRD(command);
    FAIL_IF_TOLD(fcntl_name(command), fd, true, -1);
    return next(fd, command, third);
}

int ioctl(int fd, real_ioctl_request request, ...);
EXPORTED int ioctl(int fd, real_ioctl_request request, ...)
{
    NEXT(ioctl);
    THIRD(request);
    FAIL_IF_TOLD("ioctl", fd, true, -1);
    return next(fd, request, third);
}

static const char *syscall_name(long number)
{
    return number == SYS_futex || number == SYS_close ? "syscall" : "syscall-other";
}

long syscall(long number, ...);
EXPORTED long syscall(long number, ...)
{
    static long (*next)(long, long, long, long, long, long, long);
    if (!next)
        *(void **)&next = fault_next("syscall");
    va_list ap;
    long a[6];
    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    struct fault fault = fault_meet(syscall_name(number), number, true, CALLER);
    if (fault.what == FAULT_ERRNO) {
        if (number == SYS_close) /* as close above */
            next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        errno = fault.error;
        return -1;
    }
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
