/* SPDX-License-Identifier: ISC */
/* The many ways to send and to receive. */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int split(struct iovec iov[3], char *bytes, size_t len)
{
    size_t first = len / 3, second = len / 3;

    iov[0] = (struct iovec){ bytes, first };
    iov[1] = (struct iovec){ bytes + first, second };
    iov[2] = (struct iovec){ bytes + first + second, len - first - second };
    return 3;
}

static ssize_t send_fast(struct exchange *x, const char *bytes, size_t len)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)run.port) };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (x->sent)
        return CALL(x, STEP_SEND, send(x->fd, bytes, len, 0));
    return CALL(x, STEP_SEND,
                sendto(x->fd, bytes, len, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to));
}

ssize_t io_send(struct exchange *x, const char *bytes, size_t len)
{
    struct iovec iov[3];
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

    split(iov, (char *)(uintptr_t)bytes, len);
    switch (x->how->transmit) {
    case TRANSMIT_SEND:
        return CALL(x, STEP_SEND, send(x->fd, bytes, len, 0));
    case TRANSMIT_WRITEV:
        return CALL(x, STEP_SEND, writev(x->fd, iov, 3));
    case TRANSMIT_SENDMSG:
        return CALL(x, STEP_SEND, sendmsg(x->fd, &msg, 0));
    case TRANSMIT_FASTOPEN:
        return send_fast(x, bytes, len);
    default:
        return CALL(x, STEP_SEND, write(x->fd, bytes, len));
    }
}

static ssize_t receive_peeked(struct exchange *x, char *buf, size_t len)
{
    char seen[16384];
    struct iovec iov[3];
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
    ssize_t peeked, got;

    split(iov, seen, len);
    if (x->how->receive == RECEIVE_PEEK)
        peeked = CALL(x, STEP_RECEIVE, recv(x->fd, seen, len, MSG_PEEK));
    else
        peeked = CALL(x, STEP_RECEIVE, recvmsg(x->fd, &msg, MSG_PEEK));
    if (peeked <= 0)
        return peeked;
    got = CALL(x, STEP_RECEIVE, recv(x->fd, buf, (size_t)peeked, 0));
    if (got > 0 && memcmp(seen, buf, (size_t)got) != 0)
        x->reply.broken = true;
    return got;
}

/* Readable with nothing there: the end, or an error. */
static ssize_t receive_counted(struct exchange *x, char *buf, size_t len)
{
    int there = 0;

    if (!wait_for(x, POLLIN))
        return -1;
    if (CALL(x, STEP_RECEIVE, ioctl(x->fd, FIONREAD, &there)) < 0)
        return -1;
    if (there > 0 && (size_t)there < len)
        len = (size_t)there;
    return CALL(x, STEP_RECEIVE, recv(x->fd, buf, len, 0));
}

/* A short count is an end or an error. */
static ssize_t receive_stream(struct exchange *x, char *buf, size_t len)
{
    size_t got;

    if (!x->stream) {
        x->stream = CALL(x, STEP_RECEIVE, fdopen(x->fd, "r"));
        if (!x->stream)
            return -1;
        setvbuf(x->stream, NULL, _IOFBF, 4096);
    }
    got = CALL(x, STEP_RECEIVE, fread(buf, 1, len, x->stream));
    if (got == 0 && ferror(x->stream)) {
        clearerr(x->stream);
        return -1;
    }
    return (ssize_t)got;
}

ssize_t io_receive(struct exchange *x, char *buf, size_t len)
{
    struct iovec iov[3];
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

    split(iov, buf, len);
    switch (x->how->receive) {
    case RECEIVE_RECV:
        return CALL(x, STEP_RECEIVE, recv(x->fd, buf, len, 0));
    case RECEIVE_RECVFROM:
        return CALL(x, STEP_RECEIVE, recvfrom(x->fd, buf, len, 0, NULL, NULL));
    case RECEIVE_RECVMSG:
        return CALL(x, STEP_RECEIVE, recvmsg(x->fd, &msg, 0));
    case RECEIVE_READV:
        return CALL(x, STEP_RECEIVE, readv(x->fd, iov, 3));
    case RECEIVE_PEEK:
    case RECEIVE_PEEKV:
        return receive_peeked(x, buf, len);
    case RECEIVE_WAITALL:
        return CALL(x, STEP_RECEIVE, recv(x->fd, buf, len, MSG_WAITALL));
    case RECEIVE_DONTWAIT:
        return wait_for(x, POLLIN) ? CALL(x, STEP_RECEIVE, recv(x->fd, buf, len, MSG_DONTWAIT)) : -1;
    case RECEIVE_COUNTED:
        return receive_counted(x, buf, len);
    case RECEIVE_STREAM:
        return receive_stream(x, buf, len);
    default:
        return CALL(x, STEP_RECEIVE, read(x->fd, buf, len));
    }
}
