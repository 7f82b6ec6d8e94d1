/* SPDX-License-Identifier: ISC */
/* The many ways to read and to send. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "prober.h"

#ifdef __GLIBC__
/* What a fortified program calls. */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, struct sockaddr *from,
                       socklen_t *from_size);
#else
#define __read_chk(fd, buf, n, size) read(fd, buf, n)
#define __recv_chk(fd, buf, n, size, flags) recv(fd, buf, n, flags)
#define __recvfrom_chk(fd, buf, n, size, flags, from, from_size) recvfrom(fd, buf, n, flags, from, from_size)
#endif

enum { PIECES = 13 };

/* Cut buf into up to PIECES parts of different sizes. */
static int scatter(struct iovec iov[PIECES], char *buf, size_t n)
{
    int count = 0;

    for (size_t step = 1; n > 0 && count < PIECES; step = step * 3 + 1) {
        size_t size = step < n && count < PIECES - 1 ? step : n;

        iov[count++] = (struct iovec){ .iov_base = buf, .iov_len = size };
        buf += size;
        n -= size;
    }
    return count;
}

static ssize_t read_peeked(struct exchange *x, char *buf, size_t n)
{
    char *seen = malloc(n);
    ssize_t peeked, got;

    if (seen == NULL)
        abort();
    peeked = recv(x->fd, seen, n, MSG_PEEK);
    got = peeked <= 0 ? peeked : read(x->fd, buf, (size_t)peeked);
    if (peeked > 0 && (got != peeked || memcmp(seen, buf, (size_t)got) != 0))
        fprintf(x->out, "BROKEN: peeked %zd bytes, then read %zd%s\n", peeked, got,
                got == peeked ? ", and others" : "");
    free(seen);
    return got;
}

/* On a blocking socket MSG_WAITALL comes back short only at the end. */
static ssize_t read_all(struct exchange *x, char *buf, size_t n)
{
    ssize_t got = recv(x->fd, buf, n, MSG_WAITALL);
    char more;

    if (settings.blocking && got > 0 && (size_t)got < n && recv(x->fd, &more, 1, 0) > 0)
        fprintf(x->out, "BROKEN: MSG_WAITALL gave %zd of %zu, and there was more\n", got, n);
    return got;
}

/* Ask how much there is and read that much.  Readable with nothing there: the end. */
static ssize_t read_counted(struct exchange *x, char *buf, size_t n)
{
    struct pollfd p = { .fd = x->fd, .events = POLLIN };
    int there = 0;
    ssize_t got;

    if (settings.blocking && poll(&p, 1, settings.timeout_ms) <= 0) {
        errno = ETIMEDOUT;
        return -1;
    }
    if (ioctl(x->fd, FIONREAD, &there) < 0)
        return -1;
    if (there > 0)
        return read(x->fd, buf, (size_t)there < n ? (size_t)there : n);
    got = read(x->fd, buf, 1);
    if (got > 0 && settings.blocking)
        fprintf(x->out, "BROKEN: FIONREAD said 0 of a readable socket, and there was a byte\n");
    return got;
}

static ssize_t read_now(struct exchange *x, char *buf, size_t n)
{
    struct pollfd p = { .fd = x->fd, .events = POLLIN };
    ssize_t got = recv(x->fd, buf, n, MSG_DONTWAIT);

    while (settings.blocking && settings.wait == WAIT_NONE && got < 0 && errno == EAGAIN) {
        x->wakeups++;
        if (poll(&p, 1, settings.timeout_ms) <= 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        got = recv(x->fd, buf, n, MSG_DONTWAIT);
        x->empty += got < 0;
    }
    return got;
}

static ssize_t read_stream(struct exchange *x, char *buf, size_t n)
{
    size_t got;

    if (x->stream == NULL)
        x->stream = fdopen(x->fd, "r");
    if (x->stream == NULL)
        return -1;
    got = fread(buf, 1, n, x->stream);
    return got == 0 && ferror(x->stream) ? -1 : (ssize_t)got;
}

ssize_t io_read(struct exchange *x, char *buf, size_t n)
{
    struct iovec iov[PIECES];
    struct msghdr msg = { .msg_iov = iov };
    struct sockaddr_storage from;
    socklen_t from_size = sizeof(from);

    x->reads++;
    if (settings.trick == TRICK_STDIO)
        return read_stream(x, buf, n);
    switch ((enum read_api)settings.read_api) {
    case READ_READ:
        return read(x->fd, buf, n);
    case READ_RECV:
        return recv(x->fd, buf, n, 0);
    case READ_RECVFROM:
        return recvfrom(x->fd, buf, n, 0, (struct sockaddr *)&from, &from_size);
    case READ_RECVMSG:
        msg.msg_iovlen = (size_t)scatter(iov, buf, n);
        return recvmsg(x->fd, &msg, 0);
    case READ_READV:
        return readv(x->fd, iov, scatter(iov, buf, n));
    case READ_PEEK:
        return read_peeked(x, buf, n);
    case READ_WAITALL:
        return read_all(x, buf, n);
    case READ_DONTWAIT:
        return read_now(x, buf, n);
    case READ_FIONREAD:
        return read_counted(x, buf, n);
    case READ_READ_CHK:
        return __read_chk(x->fd, buf, n, n);
    case READ_RECV_CHK:
        return __recv_chk(x->fd, buf, n, n, 0);
    case READ_RECVFROM_CHK:
        return __recvfrom_chk(x->fd, buf, n, n, 0, NULL, NULL);
    }
    abort();
}

ssize_t io_send(struct exchange *x, const char *buf, size_t n)
{
    struct iovec iov[PIECES];
    struct msghdr msg = { .msg_iov = iov };

    x->sends++;
    switch ((enum send_api)settings.send_api) {
    case SEND_WRITE:
        return write(x->fd, buf, n);
    case SEND_WRITEV:
        return writev(x->fd, iov, scatter(iov, (char *)buf, n));
    case SEND_SEND:
        return send(x->fd, buf, n, MSG_NOSIGNAL);
    case SEND_SENDTO:
        return sendto(x->fd, buf, n, MSG_NOSIGNAL, NULL, 0);
    case SEND_SENDMSG:
        msg.msg_iovlen = (size_t)scatter(iov, (char *)buf, n);
        return sendmsg(x->fd, &msg, MSG_NOSIGNAL);
    }
    abort();
}
