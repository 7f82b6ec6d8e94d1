/* The sending calls that take a sockaddr or plain buffers; sendmmsg and its kind are in hook_file.c. */
#include "preload/hook.h"

#include "preload/send.h"

#include <signal.h>
#include <unistd.h>

/* As the kernel: the signal comes first, to this thread. */
static ssize_t answer(ssize_t result, int flags)
{
    if (result == CONN_SIGPIPE) {
        if (!(flags & MSG_NOSIGNAL))
            raise(SIGPIPE);
        result = -EPIPE;
    }
    return hook_result(result);
}

/* CONN_PLAIN, or the answer with errno set. */
static ssize_t tracked_send(int fd, const struct iovec *iov, int n, int flags)
{
    struct conn *c = conn_find(fd);
    int saved = errno;

    if (c == &conn_private)
        return hook_result(-EBADF);
    if (!(c = conn_enter(fd)))
        return CONN_PLAIN;
    ssize_t result = send_pieces(c, fd, iov, n, flags);
    conn_leave(c);
    errno = saved;
    return result == CONN_PLAIN ? result : answer(result, flags);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    if (likely(!conn_find(fd)))
        return real.write(fd, buf, len);
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    ssize_t result = tracked_send(fd, &piece, 1, 0);
    return result == CONN_PLAIN ? real.write(fd, buf, len) : result;
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    if (likely(!conn_find(fd)) || n <= 0)
        return real.writev(fd, iov, n);
    ssize_t result = tracked_send(fd, iov, n, 0);
    return result == CONN_PLAIN ? real.writev(fd, iov, n) : result;
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    if (likely(!conn_find(fd)))
        return real.send(fd, buf, len, flags);
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    ssize_t result = tracked_send(fd, &piece, 1, flags);
    return result == CONN_PLAIN ? real.send(fd, buf, len, flags) : result;
}

/* Sending to an address connects under our feet (MSG_FASTOPEN): left alone for now. */
static void leave_to_libc(int fd)
{
    struct conn *c = conn_enter(fd);

    if (!c)
        return;
    if (c->state == CONN_NEW)
        conn_forget(c, REASON_odd_descriptor);
    conn_leave(c);
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
               socklen_t tolen)
{
    if (likely(!conn_find(fd)))
        return real.sendto(fd, buf, len, flags, to, tolen);
    if (to)
        leave_to_libc(fd);
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    ssize_t result = tracked_send(fd, &piece, 1, flags);
    return result == CONN_PLAIN ? real.sendto(fd, buf, len, flags, to, tolen) : result;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    if (likely(!conn_find(fd)) || !msg)
        return real.sendmsg(fd, msg, flags);
    if (msg->msg_name)
        leave_to_libc(fd);
    if (msg->msg_iovlen == 0)
        return real.sendmsg(fd, msg, flags);
    ssize_t result = tracked_send(fd, msg->msg_iov, (int)msg->msg_iovlen, flags);
    return result == CONN_PLAIN ? real.sendmsg(fd, msg, flags) : result;
}
