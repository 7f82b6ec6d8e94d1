/* SPDX-License-Identifier: ISC */
/* The sending calls that take a sockaddr or plain buffers; sendmmsg and its kind are in hooks/file.c. */
#include "preload/hooks/hook.h"

#include "preload/wire/closing.h"
#include "preload/conn/connecting.h"
#include "preload/wire/send.h"
#include "preload/fds/table.h"
#include "preload/wire/reconnect.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

ssize_t hook_sent(ssize_t result, int flags)
{
    if (result == CONN_SIGPIPE) {
        if (!(flags & MSG_NOSIGNAL))
            raise(SIGPIPE);
        result = -EPIPE;
    }
    return hook_result(result);
}

/* CONN_PLAIN, or the answer with errno set. */
static ssize_t follow(int fd, const struct iovec *iov, int n, int flags)
{
    return hook_move(wire_send, NEED_ALL, fd, iov, n, flags);
}

static OUT_OF_LINE ssize_t tracked_write(int fd, const void *buf, size_t len)
{
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    ssize_t result = hook_is_refused(&piece, 1) ? CONN_PLAIN : follow(fd, &piece, 1, 0);
    return result == CONN_PLAIN ? real.write(fd, buf, len) : result;
}

ssize_t write(int fd, const void *buf, size_t len)
{
    return likely(!conn_find(fd)) ? real.write(fd, buf, len) : tracked_write(fd, buf, len);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    bool plain = likely(!conn_find(fd)) || !hook_reaches_socket(iov, n);
    ssize_t result = plain ? CONN_PLAIN : follow(fd, iov, n, 0);
    return result == CONN_PLAIN ? real.writev(fd, iov, n) : result;
}

/* Of the stream's own position. */
static ssize_t positioned(int fd, const struct iovec *iov, int n, int flags)
{
    ssize_t result = hook_reaches_socket(iov, n) ? follow(fd, iov, n, hook_message_flags(flags)) : CONN_PLAIN;
    return result == CONN_PLAIN ? real.pwritev2(fd, iov, n, -1, flags) : result;
}

static OUT_OF_LINE ssize_t tracked_send(int fd, const void *buf, size_t len, int flags)
{
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    ssize_t result = follow(fd, &piece, 1, flags);
    return result == CONN_PLAIN ? real.send(fd, buf, len, flags) : result;
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    return likely(!conn_find(fd)) ? real.send(fd, buf, len, flags) : tracked_send(fd, buf, len, flags);
}

/* A send to an address connects, where MSG_FASTOPEN says so (tcp(7)), and fails on a socket that is connected already.
 * Clears the flag for our own send.  0, CONN_PLAIN, or the answer as -errno. */
static int send_to(int fd, int *flags, const struct sockaddr *to, socklen_t len)
{
    struct conn *c;

    if (!(*flags & MSG_FASTOPEN) || !to || hook_enter(fd, NEED_ALL_BUT_END, &c) != ENTERED)
        return 0;
    int result = reconnect_by_send(c, fd, *flags, to, len);
    if (result == 0)
        *flags &= ~MSG_FASTOPEN;
    conn_leave(c);
    return result;
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
               socklen_t tolen)
{
    if (likely(!conn_find(fd)))
        return real.sendto(fd, buf, len, flags, to, tolen);
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    int ours = flags;
    ssize_t result = send_to(fd, &ours, to, tolen);
    result = result == 0 ? follow(fd, &piece, 1, ours) : result == CONN_PLAIN ? result : hook_sent(result, flags);
    return result == CONN_PLAIN ? real.sendto(fd, buf, len, flags, to, tolen) : result;
}

/* A tracked fd that goes to another process (SCM_RIGHTS, unix(7)) has a copy that nobody can follow. */
static void leave_what_is_passed(const struct msghdr *msg)
{
    struct msghdr *m = (struct msghdr *)(uintptr_t)msg;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(m); part; part = CMSG_NXTHDR(m, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            struct conn *c;
            if (hook_enter(fd, NEED_ALL, &c) != ENTERED)
                continue;
            closing_share(c, fd, REASON_duplicated);
            conn_leave(c);
        }
    }
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    if (msg && msg->msg_controllen)
        leave_what_is_passed(msg);
    if (likely(!conn_find(fd)) || !msg || msg->msg_iovlen == 0 || hook_is_refused(msg->msg_iov, msg->msg_iovlen))
        return real.sendmsg(fd, msg, flags);
    int ours = flags;
    ssize_t result = send_to(fd, &ours, msg->msg_name, msg->msg_namelen);
    result = result == 0 ? follow(fd, msg->msg_iov, (int)msg->msg_iovlen, ours)
             : result == CONN_PLAIN ? result : hook_sent(result, flags);
    return result == CONN_PLAIN ? real.sendmsg(fd, msg, flags) : result;
}

ssize_t pwritev64v2(int fd, const struct iovec *iov, int n, int64_t offset, int flags)
{
    return hook_is_stream(fd, offset, flags) ? positioned(fd, iov, n, flags) : real.pwritev64v2(fd, iov, n, offset, flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    return hook_is_stream(fd, offset, flags) ? positioned(fd, iov, n, flags) : real.pwritev2(fd, iov, n, offset, flags);
}
