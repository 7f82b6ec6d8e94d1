/* SPDX-License-Identifier: ISC */
/* Odd options, and arguments that the kernel refuses: each on a socket of its own, and an exchange follows on another one, where
 * nothing of it may be seen. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

static char buf[100];

static const struct setting {
    const char *name;
    int level, option;
    const void *value;
    socklen_t len;
} settings[] = {
#define NUMBER(level, option, value) { #option " " #value, level, option, &(const int){ value }, sizeof(int) }
#define TEXT(level, option, text) { #option " " text, level, option, text, sizeof text - 1 }
    NUMBER(SOL_SOCKET, 0, 1),
    NUMBER(SOL_SOCKET, 999, 1),
    NUMBER(777, 1, 1),
    NUMBER(SOL_SOCKET, SO_KEEPALIVE, 7),
    NUMBER(SOL_SOCKET, SO_RCVBUF, 5000),
    NUMBER(SOL_SOCKET, SO_SNDBUF, 6000),
    NUMBER(SOL_SOCKET, SO_PRIORITY, 3),
    NUMBER(SOL_SOCKET, SO_RCVLOWAT, 100),
    NUMBER(SOL_SOCKET, SO_RCVLOWAT, 0),
    NUMBER(SOL_SOCKET, SO_PEEK_OFF, 0),
    NUMBER(IPPROTO_TCP, TCP_MAXSEG, 1),
    NUMBER(IPPROTO_TCP, TCP_KEEPCNT, 9999),
    NUMBER(IPPROTO_TCP, TCP_KEEPIDLE, 77),
    NUMBER(IPPROTO_TCP, TCP_CORK, 2),
    NUMBER(IPPROTO_TCP, TCP_REPAIR, 77),
    NUMBER(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1),
    NUMBER(IPPROTO_IP, IP_TOS, 0x10),
    NUMBER(IPPROTO_IP, IP_TTL, 300),
    NUMBER(IPPROTO_IPV6, IPV6_V6ONLY, 1),
    TEXT(SOL_SOCKET, SO_BINDTODEVICE, "nosuch"),
    TEXT(IPPROTO_TCP, TCP_CONGESTION, "nosuch"),
    TEXT(IPPROTO_TCP, TCP_ULP, "nosuch"),
    { "a byte", SOL_SOCKET, SO_KEEPALIVE, "\1", 1 },
    { "nowhere", SOL_SOCKET, SO_KEEPALIVE, NULL, sizeof(int) },
    { "linger", SOL_SOCKET, SO_LINGER, &(const struct linger){ 1, 3 }, sizeof(struct linger) },
    { "much linger", SOL_SOCKET, SO_LINGER, &(const struct linger){ 7, 3 }, sizeof(struct linger) },
    { "two seconds", SOL_SOCKET, SO_RCVTIMEO, &(const struct timeval){ 2, 0 }, sizeof(struct timeval) },
    { "less than a tick", SOL_SOCKET, SO_RCVTIMEO, &(const struct timeval){ 2, 1 }, sizeof(struct timeval) },
    { "no time", SOL_SOCKET, SO_RCVTIMEO, &(const struct timeval){ 0, 2000000 }, sizeof(struct timeval) },
};

static void set(int fd, const struct setting *s)
{
    said(s->name, setsockopt(fd, s->level, s->option, s->value, s->len));
}

struct value {
    int is[4];
};

static struct value get(int fd, const struct setting *s)
{
    struct value value = { { 0 } };
    socklen_t len = sizeof value;

    said("is", getsockopt(fd, s->level, s->option, &value, &len));
    say("%d: %x %x %x %x", (int)len, value.is[0], value.is[1], value.is[2], value.is[3]);
    len = (socklen_t)-1;
    said("negative", getsockopt(fd, s->level, s->option, &value, &len));
    return value;
}

static void another(struct talk *t, const struct talk *like)
{
    talk_init(t);
    talk_reach(t, like->state);
}

/* Behind the end a connection has no use for what was set; the next one must not have it. */
static void next(const struct setting *s, struct value not)
{
    struct value is = { { 0 } };
    socklen_t len = sizeof is;
    struct talk t;

    talk_init(&t);
    talk_reach(&t, STATE_MIDDLE);
    said("of the next", getsockopt(t.fd, s->level, s->option, &is, &len)); /* the kernel chooses the size of buffers */
    say("%s", memcmp(&is, &not, sizeof is) == 0 ? "the same" : "another");
    talk_end(&t);
}

void op_odd_options(struct talk *t)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct talk own;
        another(&own, t);
        set(own.fd, &settings[i]);
        struct value value = get(own.fd, &settings[i]);
        talk_finish(&own);
        get(own.fd, &settings[i]);
        said("close", close(own.fd));
        next(&settings[i], value);
    }
    talk_end(t);
}

/* What was set before stays behind a second one, and so does the state of the connection. */
void op_odd_then(struct talk *t)
{
    struct talk own;
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;

    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        another(&own, t);
        set(own.fd, &(struct setting){ "keep alive", SOL_SOCKET, SO_KEEPALIVE, &(const int){ 1 }, sizeof(int) });
        set(own.fd, &settings[4]);
        talk_finish(&own);
        said("flags", fcntl(own.fd, F_GETFL));
        set(own.fd, &settings[16]);
        get(own.fd, &(struct setting){ .level = SOL_SOCKET, .option = SO_KEEPALIVE });
        get(own.fd, &settings[4]);
        get(own.fd, &settings[16]);
        said("shutdown", shutdown(own.fd, how));
        said("peer", getpeername(own.fd, (struct sockaddr *)&peer, &(socklen_t){ len }));
        said("recv", recv(own.fd, buf, sizeof buf, 0));
        if (how != SHUT_RD)
            said("send", send(own.fd, "x", 1, MSG_NOSIGNAL));
        said("peer", getpeername(own.fd, (struct sockaddr *)&peer, &(socklen_t){ len }));
        said("close", close(own.fd));
    }
    talk_end(t);
}

static void flags_of_next(void)
{
    struct talk t;

    talk_init(&t);
    talk_reach(&t, STATE_ENDED);
    said("flags of the next", fcntl(t.fd, F_GETFL));
    said("owner of the next", fcntl(t.fd, F_GETOWN));
    talk_end(&t);
}

void op_odd_flags(struct talk *t)
{
    struct talk own;

    signal(SIGIO, SIG_IGN);
    another(&own, t);
    said("FIOASYNC", ioctl(own.fd, FIOASYNC, &(int){ 1 }));
    said("flags", fcntl(own.fd, F_GETFL));
    talk_end(&own);
    another(&own, t);
    said("async", fcntl(own.fd, F_SETFL, O_ASYNC | O_NONBLOCK));
    said("flags", fcntl(own.fd, F_GETFL));
    said("FIONBIO", ioctl(own.fd, FIONBIO, &(int){ 0 }));
    said("flags", fcntl(own.fd, F_GETFL));
    said("direct", fcntl(own.fd, F_SETFL, O_DIRECT));
    talk_end(&own);
    another(&own, t);
    said("owner", fcntl(own.fd, F_SETOWN, getpid()));
    said("is", fcntl(own.fd, F_GETOWN) == getpid());
    talk_end(&own);
    flags_of_next();
    talk_end(t);
}

/* The kernel looks at them before it looks at the socket. */
void op_odd_lengths(struct talk *t)
{
    struct iovec piece = { buf, (size_t)-1 }, two[2] = { { buf, 1 }, { buf, (size_t)-5 } };
    struct msghdr msg = { .msg_iov = two, .msg_iovlen = 2 }, many = { .msg_iov = two, .msg_iovlen = (size_t)-1 };
    struct sockaddr_in name;
    socklen_t negative = (socklen_t)-3;
    const volatile size_t all = (size_t)-1; /* volatile: compilers warn of such calls */
    const volatile int many_pieces = 2000;

    said("read", read(t->fd, buf, all));
    said("readv", readv(t->fd, &piece, 1));
    said("readv, the second", readv(t->fd, two, 2));
    said("readv, many", readv(t->fd, two, many_pieces));
    said("recvmsg", recvmsg(t->fd, &msg, 0));
    said("recvmsg, many", recvmsg(t->fd, &many, 0));
    said("write", write(t->fd, buf, all));
    said("writev", writev(t->fd, &piece, 1));
    said("writev, the second", writev(t->fd, two, 2));
    said("sendmsg", sendmsg(t->fd, &msg, MSG_NOSIGNAL));
    said("sendmsg, many", sendmsg(t->fd, &many, MSG_NOSIGNAL));
    if (t->state != STATE_NEW)
        said("peer", getpeername(t->fd, (struct sockaddr *)&name, &negative));
    said("name", getsockname(t->fd, (struct sockaddr *)&name, &negative));
    talk_end(t);
}

/* RWF_NOWAIT is MSG_DONTWAIT. */
void op_odd_nowait(struct talk *t)
{
    struct iovec piece = { buf, sizeof buf };
    ssize_t n = preadv2(t->fd, &piece, 1, -1, RWF_NOWAIT);

    said("preadv2", n);
    if (n > 0)
        talk_feed(t, buf, (size_t)n);
    piece.iov_len = 0;
    said("nothing", preadv2(t->fd, &piece, 1, -1, RWF_NOWAIT));
    talk_end(t);
}
