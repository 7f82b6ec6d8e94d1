/* SPDX-License-Identifier: ISC */
/* Receiving, with every flag. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

static char buf[100000];

/* A receive's outcome, where the amount is a matter of timing. */
static void take(struct talk *t, const char *what, ssize_t got)
{
    if (got > 0)
        talk_feed(t, buf, (size_t)got);
    if (got <= 0)
        said(what, got);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        talk_ended(t, got);
}

/* Wget's way: look, then take what was looked at. */
void op_peek(struct talk *t)
{
    char seen[4096];

    if (t->state == STATE_CONNECTED) {
        said("nothing to peek at", recv(t->fd, seen, 10, MSG_PEEK | MSG_DONTWAIT));
        talk_reach(t, STATE_SENT);
    }
    while (!t->over) {
        ssize_t n = recv(t->fd, seen, sizeof seen, MSG_PEEK);
        if (n < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){ .fd = t->fd, .events = POLLIN }, 1, -1);
            continue;
        }
        if (n <= 0) {
            take(t, "peek", n);
            break;
        }
        ssize_t half = n > 1 ? n / 2 : 1, got = recv(t->fd, buf, (size_t)half, 0);
        if (got != half || memcmp(buf, seen, (size_t)half) != 0)
            say("peeked %zd, took %zd of %zd: %s", n, got, half, got > 0 ? "not the same" : strerror(errno));
        take(t, "recv", got);
    }
    talk_end(t);
}

void op_peek_flags(struct talk *t)
{
    if (t->state == STATE_MIDDLE) {
        memset(buf, 0, 5000);
        said("peek all", recv(t->fd, buf, 5000, MSG_PEEK | MSG_WAITALL));
        uint64_t hash = hash_bytes(HASH_START, buf, 5000);
        struct iovec parts[2] = { { buf, 4000 }, { buf + 4000, 1000 } };
        struct msghdr m = { .msg_iov = parts, .msg_iovlen = 2 };
        said("again, by pieces", recvmsg(t->fd, &m, MSG_PEEK));
        said("the same", hash == hash_bytes(HASH_START, buf, 5000));
    }
    if (t->state == STATE_SENT)
        said("peek a byte", recv(t->fd, buf, 1, MSG_PEEK));
    if (t->state == STATE_SENT)
        said("peek 9", recv(t->fd, buf, 9, MSG_PEEK | MSG_WAITALL));
    if (t->state == STATE_ENDED && !run.keep)
        said("peek", recv(t->fd, buf, 9, MSG_PEEK | MSG_WAITALL));
    talk_end(t);
}

/* The last bytes are peeked at, and those after them. */
void op_peek_end(struct talk *t)
{
    talk_body(t, BODY_BYTES - 10);
    said("peek 10 of 10", recv(t->fd, buf, 10, MSG_PEEK | MSG_WAITALL));
    said("peek 20 of 10", recv(t->fd, buf, 20, MSG_PEEK | MSG_WAITALL));
    said("peek 20 of 10", recv(t->fd, buf, 20, MSG_PEEK));
    talk_end(t);
}

void op_waitall(struct talk *t)
{
    if (t->state == STATE_SENT)
        talk_body(t, 1);
    if (t->state < STATE_ENDED) {
        ssize_t n = recv(t->fd, buf, 7000, MSG_WAITALL);
        said("7000", n);
        take(t, "recv", n);
        size_t rest = BODY_BYTES - t->body;
        n = recv(t->fd, buf, run.keep ? rest : 50000, MSG_WAITALL);
        said("the rest", n == (ssize_t)rest);
        take(t, "recv", n);
    }
    talk_end(t);
}

/* MSG_TRUNC on TCP: what is received is thrown away. */
static void discard(struct talk *t, void *where)
{
    if (t->state == STATE_MIDDLE) {
        ssize_t n = recv(t->fd, where, 3000, MSG_TRUNC | MSG_WAITALL);
        said("discard", n);
        if (n > 0)
            t->body += (size_t)n;
        n = recv(t->fd, where, 100, MSG_TRUNC | MSG_PEEK);
        said("peeked at, not discarded", n < 0 ? n : n > 0);
    } else if (!run.keep) {
        said("at the end", recv(t->fd, where, 3000, MSG_TRUNC));
    }
    talk_end(t);
}

void op_trunc(struct talk *t)
{
    discard(t, buf);
}

void op_trunc_null(struct talk *t)
{
    discard(t, NULL);
}

void op_dontwait(struct talk *t)
{
    bool empty = false;

    while (!t->over) {
        ssize_t n = recv(t->fd, buf, 5000, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            empty = true;
            struct pollfd p = { .fd = t->fd, .events = POLLIN };
            poll(&p, 1, 5000);
        } else {
            take(t, "recv", n);
        }
    }
    if (t->state == STATE_SENT)
        said("was empty", empty);
    talk_end(t);
}

/* At no position, and with flags: by libc and past it in turns.  1: RWF_HIPRI, 8: RWF_NOWAIT, and one that there is not. */
void op_preadv2_flags(struct talk *t)
{
    struct iovec parts[2] = { { buf, 300 }, { buf + 300, 4000 } };

#ifdef __GLIBC__
    said("no such flag", preadv2(t->fd, parts, 2, -1, 1 << 30));
#endif
    said("no such flag", syscall(SYS_preadv2, t->fd, parts, 2, -1L, -1L, 1 << 30));
    for (int turn = 0; !t->over; turn++) {
        ssize_t n = turn % 2 ? syscall(SYS_preadv2, t->fd, parts, 2, -1L, -1L, 8 | 1) :
#ifdef __GLIBC__
                             preadv2(t->fd, parts, 2, -1, 8);
#else
                             recv(t->fd, buf, 4300, MSG_DONTWAIT);
#endif
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = { .fd = t->fd, .events = POLLIN };
            poll(&p, 1, 5000);
        } else {
            take(t, "preadv2", n);
        }
    }
    talk_end(t);
}

void op_oob(struct talk *t)
{
    said("oob", recv(t->fd, buf, 1, MSG_OOB));
    said("error queue", recv(t->fd, buf, 1, MSG_ERRQUEUE));
    said("sockatmark", sockatmark(t->fd));
    talk_end(t);
}

void op_recv_odd(struct talk *t)
{
    if (t->state == STATE_CONNECTED || t->state == STATE_ENDED)
        said("none", recv(t->fd, buf, 0, MSG_DONTWAIT));
    if (t->state > STATE_CONNECTED)
        said("read none", read(t->fd, buf, 0));
    said("no vector", readv(t->fd, NULL, 0));
    volatile int negative = -1;
    said("bad vector", readv(t->fd, NULL, negative));
    said("too many", readv(t->fd, (struct iovec *)buf, IOV_MAX + 1));
    said("pread", pread(t->fd, buf, 10, 0));
    said("lseek", lseek(t->fd, 0, SEEK_CUR));
    said("fsync", fsync(t->fd));
    talk_end(t);
}

/* Pointers to nowhere. */
void op_recv_fault(struct talk *t)
{
    void *volatile nowhere = (void *)(uintptr_t)16;

    if (t->state == STATE_CONNECTED)
        talk_reach(t, STATE_SENT);
    if (t->state != STATE_ENDED)
        poll(&(struct pollfd){ .fd = t->fd, .events = POLLIN }, 1, 5000);
    said("recv", recv(t->fd, nowhere, 100, MSG_DONTWAIT));
    said("read", run.keep && t->state == STATE_ENDED ? -2 : read(t->fd, nowhere, 100));
    said("peek", recv(t->fd, nowhere, 100, MSG_PEEK | MSG_DONTWAIT));
    said("recvmsg", recvmsg(t->fd, nowhere, MSG_DONTWAIT));
    talk_end(t);
}

void op_recvmsg(struct talk *t)
{
    while (!t->over) {
        char control[100];
        struct sockaddr_in from;
        struct iovec parts[3] = { { buf, 100 }, { buf + 100, 0 }, { buf + 100, 400 } };
        struct msghdr m = { &from, sizeof from, parts, 3, control, sizeof control, -1 };
        ssize_t n = recvmsg(t->fd, &m, 0);
        if (n > 0 && (m.msg_namelen || m.msg_controllen || m.msg_flags))
            say("name %d, control %zu, flags %d", (int)m.msg_namelen, m.msg_controllen, m.msg_flags);
        take(t, "recvmsg", n);
    }
    talk_end(t);
}

void op_recvmmsg(struct talk *t)
{
    while (!t->over) {
        struct iovec parts[3] = { { buf, 300 }, { buf + 300, 200 }, { buf + 500, 5000 } };
        struct mmsghdr m[3] = { { .msg_hdr = { .msg_iov = &parts[0], .msg_iovlen = 1 } },
                                { .msg_hdr = { .msg_iov = &parts[1], .msg_iovlen = 1 } },
                                { .msg_hdr = { .msg_iov = &parts[2], .msg_iovlen = 1 } } };
        struct timespec time = { 5, 0 };
        int n = recvmmsg(t->fd, m, 3, MSG_WAITFORONE, &time);
        if (n <= 0) {
            said("recvmmsg", n);
            break;
        }
        for (int i = 0; i < n; i++) {
            if (m[i].msg_len)
                talk_feed(t, parts[i].iov_base, m[i].msg_len);
            else
                talk_ended(t, 0);
        }
    }
    talk_end(t);
}

/* Messages of no bytes at the end; a timeout that is not over; what is left of it. */
void op_recvmmsg_end(struct talk *t)
{
    for (int turn = 0; turn < 3; turn++) {
        struct iovec parts[4] = { { buf, 30000 }, { buf + 30000, 7 }, { buf + 30007, 7 }, { buf + 30014, 7 } };
        struct mmsghdr m[4] = { 0 };
        struct timespec time = { 50, 0 };
        int flags = turn == 0 ? MSG_WAITALL : turn == 1 ? MSG_WAITFORONE : MSG_DONTWAIT;

        for (int i = 0; i < 4; i++)
            m[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
        int n = recvmmsg(t->fd, m, 4, flags, &time);
        said("recvmmsg", n);
        said("time left", n > 0 && time.tv_sec >= 40 && time.tv_sec < 50);
        for (int i = 0; i < n; i++)
            if (m[i].msg_len)
                talk_feed(t, parts[i].iov_base, m[i].msg_len);
    }
    talk_ended(t, 0);
    talk_end(t);
}

void op_readv_odd(struct talk *t)
{
    struct iovec parts[4] = { { buf, 0 }, { buf, 3 }, { buf + 3, 0 }, { buf + 3, 2000 } };

    if (t->state == STATE_MIDDLE) {
        ssize_t n = readv(t->fd, parts, 1);
        said("empty", n);
        n = readv(t->fd, parts, 2);
        take(t, "three", n);
        n = readv(t->fd, parts, 4);
        take(t, "more", n);
    } else {
        said("at the end", readv(t->fd, parts, 4));
    }
    talk_end(t);
}

void op_recvfrom_name(struct talk *t)
{
    struct sockaddr_in from = { .sin_port = 77 };
    socklen_t len = sizeof from;

    ssize_t n = recvfrom(t->fd, buf, 100, 0, (struct sockaddr *)&from, &len);
    take(t, "recvfrom", n);
    say("length %d port %d", (int)len, from.sin_port);
    talk_end(t);
}

static void set_timeout(int fd, int which, long ms)
{
    struct timeval tv = { ms / 1000, ms % 1000 * 1000 }, is = { 0 };
    socklen_t len = sizeof is;

    said("set", setsockopt(fd, SOL_SOCKET, which, &tv, sizeof tv));
    said("get", getsockopt(fd, SOL_SOCKET, which, &is, &len));
    /* The kernel counts in ticks. */
    say("%s", labs(is.tv_sec * 1000 + is.tv_usec / 1000 - ms) <= 10 ? "as set" : "not as set");
}

/* The answer takes 150 ms. */
void op_rcvtimeo(struct talk *t)
{
    set_timeout(t->fd, SO_RCVTIMEO, 50);
    if (t->state < STATE_MIDDLE)
        talk_reach(t, STATE_SENT);
    talk_body(t, 0);
    long start = now_ms();
    ssize_t n = t->over ? 0 : recv(t->fd, buf, 50000, 0);
    long ms = now_ms() - start;
    if (t->state == STATE_SENT) {
        said("recv", n);
        say("%s", ms >= 40 && ms < 140 ? "in time" : "too early or too late");
    }
    if (n > 0)
        take(t, "recv", n);
    talk_finish(t);
    set_timeout(t->fd, SO_RCVTIMEO, 0);
    said("close", close(t->fd));
}

void op_sndtimeo(struct talk *t)
{
    set_timeout(t->fd, SO_SNDTIMEO, 500);
    talk_finish(t);
    set_timeout(t->fd, SO_SNDTIMEO, 100);
    said("close", close(t->fd));
}

void op_lowat(struct talk *t)
{
    int want = 3000, is = 0;
    socklen_t len = sizeof is;

    said("set", setsockopt(t->fd, SOL_SOCKET, SO_RCVLOWAT, &want, sizeof want));
    said("get", getsockopt(t->fd, SOL_SOCKET, SO_RCVLOWAT, &is, &len));
    say("%d", is);
    talk_end(t);
}
