/* SPDX-License-Identifier: ISC */
/* The receiving calls; recvmmsg is in hooks/file.c. */
#include "preload/hooks/hook.h"

#include "preload/wire/recv.h"
#include "preload/wire/release.h"
#include "preload/fds/table.h"

#include <unistd.h>

/* CONN_PLAIN, or the answer with errno set. */
static ssize_t follow(int fd, const struct iovec *iov, int n, int flags)
{
    return hook_move(wire_receive, NEED_ALL_BUT_END, fd, iov, n, flags);
}

static OUT_OF_LINE ssize_t tracked_read(int fd, void *buf, size_t len)
{
    struct iovec piece = { buf, len };
    ssize_t result = hook_is_refused(&piece, 1) ? CONN_PLAIN : follow(fd, &piece, 1, 0);
    return result == CONN_PLAIN ? real.read(fd, buf, len) : result;
}

static OUT_OF_LINE ssize_t read_other(int fd, void *buf, size_t len)
{
    release_before_read(fd);
    return real.read(fd, buf, len);
}

ssize_t read(int fd, void *buf, size_t len)
{
    if (unlikely(conn_find(fd)))
        return tracked_read(fd, buf, len);
    return withheld_any() ? read_other(fd, buf, len) : real.read(fd, buf, len);
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
    bool plain = likely(!conn_find(fd)) || !hook_reaches_socket(iov, n);
    ssize_t result = plain ? CONN_PLAIN : follow(fd, iov, n, 0);
    return result == CONN_PLAIN ? real.readv(fd, iov, n) : result;
}

static OUT_OF_LINE ssize_t tracked_recv(int fd, void *buf, size_t len, int flags)
{
    struct iovec piece = { buf, len };
    ssize_t result = follow(fd, &piece, 1, flags);
    return result == CONN_PLAIN ? real.recv(fd, buf, len, flags) : result;
}

static OUT_OF_LINE ssize_t recv_other(int fd, void *buf, size_t len, int flags)
{
    release_before_read(fd);
    return real.recv(fd, buf, len, flags);
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    if (unlikely(conn_find(fd)))
        return tracked_recv(fd, buf, len, flags);
    return withheld_any() ? recv_other(fd, buf, len, flags) : real.recv(fd, buf, len, flags);
}

/* A stream socket leaves the address alone and says that it has no length (recvfrom(2)). */
ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from, socklen_t *fromlen)
{
    if (likely(!conn_find(fd)))
        return real.recvfrom(fd, buf, len, flags, from, fromlen);
    struct iovec piece = { buf, len };
    ssize_t result = follow(fd, &piece, 1, flags);
    if (result == CONN_PLAIN)
        return real.recvfrom(fd, buf, len, flags, from, fromlen);
    if (result >= 0 && from && fromlen)
        *fromlen = 0;
    return result;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    if (likely(!conn_find(fd)) || !msg || hook_is_refused(msg->msg_iov, msg->msg_iovlen))
        return real.recvmsg(fd, msg, flags);
    ssize_t result = follow(fd, msg->msg_iov, (int)msg->msg_iovlen, flags);
    if (result == CONN_PLAIN)
        return real.recvmsg(fd, msg, flags);
    if (result >= 0) {
        msg->msg_namelen = 0;
        msg->msg_controllen = 0;
        msg->msg_flags = flags & MSG_CMSG_CLOEXEC; /* which the kernel gives back */
    }
    return result;
}

/* The fortified variants (glibc): what is too long for the buffer aborts in libc, with its message. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
    if (likely(!conn_find(fd)) || len > size)
        return real.__read_chk(fd, buf, len, size);
    return read(fd, buf, len);
}

ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size, int flags)
{
    if (likely(!conn_find(fd)) || len > size)
        return real.__recv_chk(fd, buf, len, size, flags);
    return recv(fd, buf, len, flags);
}

ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
                       socklen_t *fromlen)
{
    if (likely(!conn_find(fd)) || len > size)
        return real.__recvfrom_chk(fd, buf, len, size, flags, from, fromlen);
    return recvfrom(fd, buf, len, flags, from, fromlen);
}

/* Of the stream's own position. */
static ssize_t positioned(int fd, const struct iovec *iov, int n, int flags)
{
    ssize_t result = hook_reaches_socket(iov, n) ? follow(fd, iov, n, hook_message_flags(flags)) : CONN_PLAIN;
    return result == CONN_PLAIN ? real.preadv2(fd, iov, n, -1, flags) : result;
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int n, int64_t offset, int flags)
{
    return hook_is_stream(fd, offset, flags) ? positioned(fd, iov, n, flags) : real.preadv64v2(fd, iov, n, offset, flags);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    return hook_is_stream(fd, offset, flags) ? positioned(fd, iov, n, flags) : real.preadv2(fd, iov, n, offset, flags);
}
