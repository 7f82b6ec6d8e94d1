/* SPDX-License-Identifier: ISC */
/* Questions to a socket: options, names, ioctl. */
#define _GNU_SOURCE
#include "surface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option {
    const char *name;
    int level, option;
} asked[] = {
#define OPTION(level, name)                                                                                  \
    {                                                                                                        \
#name, level, name                                                                                   \
    }
    OPTION(SOL_SOCKET, SO_ERROR),
    OPTION(SOL_SOCKET, SO_TYPE),
    OPTION(SOL_SOCKET, SO_DOMAIN),
    OPTION(SOL_SOCKET, SO_PROTOCOL),
    OPTION(SOL_SOCKET, SO_ACCEPTCONN),
    OPTION(SOL_SOCKET, SO_KEEPALIVE),
    OPTION(SOL_SOCKET, SO_REUSEADDR),
    OPTION(SOL_SOCKET, SO_BROADCAST),
    OPTION(SOL_SOCKET, SO_OOBINLINE),
    OPTION(SOL_SOCKET, SO_RCVLOWAT),
    OPTION(SOL_SOCKET, SO_PRIORITY),
    OPTION(SOL_SOCKET, SO_MARK),
    OPTION(SOL_SOCKET, SO_DONTROUTE),
    OPTION(IPPROTO_TCP, TCP_NODELAY),
    OPTION(IPPROTO_TCP, TCP_CORK),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT),
    OPTION(IPPROTO_TCP, TCP_SYNCNT),
    OPTION(IPPROTO_TCP, TCP_LINGER2),
    OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT),
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(IPPROTO_IP, IP_TOS),
    OPTION(IPPROTO_IP, IP_TTL),
    OPTION(IPPROTO_IP, IP_RECVTOS),
    OPTION(SOL_SOCKET, 9999),
    OPTION(9999, 1),
};

/* Before the end, whether the server has closed already is a matter of timing. */
static void ask(int fd, bool ended)
{
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        int value = 0;
        socklen_t len = sizeof value;
        int result = getsockopt(fd, asked[i].level, asked[i].option, &value, &len);
        if (result < 0)
            said(asked[i].name, result);
        else
            say("%s: %d (%d)", asked[i].name, value, (int)len);
    }
    struct tcp_info info = { 0 };
    socklen_t len = sizeof info;
    said("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
    say("state %d, length %s", ended ? info.tcpi_state : 0, len >= 104 ? "usual" : "short");
    struct linger linger = { 7, 7 };
    len = sizeof linger;
    said("SO_LINGER", getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len));
    say("%d %d %d", linger.l_onoff, linger.l_linger, (int)len);
    len = 1;
    said("a byte of it", getsockopt(fd, SOL_SOCKET, SO_TYPE, &linger, &len));
    len = (socklen_t)-1;
    said("negative", getsockopt(fd, SOL_SOCKET, SO_TYPE, &linger, &len));
    said("nowhere", getsockopt(fd, SOL_SOCKET, SO_TYPE, NULL, NULL));
}

void op_sockopts(struct talk *t)
{
    ask(t->fd, t->state == STATE_ENDED || t->state < STATE_SENT);
    talk_finish(t);
    ask(t->fd, true);
    said("close", close(t->fd));
}

static void set(int fd, const char *what, int level, int option, int value)
{
    int is = -1;
    socklen_t len = sizeof is;

    said(what, setsockopt(fd, level, option, &value, sizeof value));
    said("is", getsockopt(fd, level, option, &is, &len));
    say("%d", is);
}

/* Each is put on, then an exchange follows on another socket, where it must not be on. */
void op_sockopts_set(struct talk *t)
{
    set(t->fd, "nodelay", IPPROTO_TCP, TCP_NODELAY, 1);
    set(t->fd, "keepalive", SOL_SOCKET, SO_KEEPALIVE, 1);
    set(t->fd, "keepidle", IPPROTO_TCP, TCP_KEEPIDLE, 77);
    set(t->fd, "priority", SOL_SOCKET, SO_PRIORITY, 5);
    set(t->fd, "tos", IPPROTO_IP, IP_TOS, 0x10);
    set(t->fd, "cork", IPPROTO_TCP, TCP_CORK, 0);
    set(t->fd, "user timeout", IPPROTO_TCP, TCP_USER_TIMEOUT, 12345);
    struct linger linger = { 0, 3 };
    said("linger", setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    said("bad length", setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &linger, 1));
    said("bad name", setsockopt(t->fd, IPPROTO_TCP, 9999, &linger, sizeof linger));
    said("nowhere", setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, (void *)(uintptr_t)16, sizeof(int)));
    talk_finish(t);
    ask(t->fd, true);
    said("close", close(t->fd));
    struct talk next;
    talk_init(&next);
    talk_reach(&next, STATE_MIDDLE);
    ask(next.fd, false);
    talk_end(&next);
}

static void names(int fd)
{
    struct sockaddr_in own = { 0 }, peer = { 0 };
    socklen_t len = sizeof own, peer_len = sizeof peer;

    said("getsockname", getsockname(fd, (struct sockaddr *)&own, &len));
    say("%d %d %s %s", (int)len, own.sin_family, inet_ntoa(own.sin_addr),
        own.sin_port ? "a port" : "no port");
    said("getpeername", getpeername(fd, (struct sockaddr *)&peer, &peer_len));
    say("%d %d %s %s", (int)peer_len, peer.sin_family, inet_ntoa(peer.sin_addr),
        ntohs(peer.sin_port) == run.port ? "the port" : "another port");
    len = 3;
    said("cut", getpeername(fd, (struct sockaddr *)&peer, &len));
    say("%d", (int)len);
    said("nowhere", getsockname(fd, NULL, NULL));
}

void op_names(struct talk *t)
{
    struct sockaddr_in before = { 0 }, after = { 0 };
    socklen_t len = sizeof before;

    names(t->fd);
    if (t->state == STATE_NEW)
        talk_reach(t, STATE_CONNECTED);
    getsockname(t->fd, (struct sockaddr *)&before, &len);
    talk_finish(t);
    getsockname(t->fd, (struct sockaddr *)&after, &len);
    said("the same", before.sin_port == after.sin_port);
    names(t->fd);
    said("close", close(t->fd));
}

static void count(const char *what, int fd, unsigned long request)
{
    int n = -1;
    int result = ioctl(fd, request, &n);

    said(what, result);
    say("%d", n);
}

void op_fionread(struct talk *t)
{
    count("FIONREAD", t->fd, FIONREAD);
    if (t->state == STATE_MIDDLE) {
        sleep_ms(60);
        count("FIONREAD, all there", t->fd, FIONREAD);
        talk_body(t, BODY_BYTES - 5);
        count("FIONREAD, near the end", t->fd, FIONREAD);
    }
    talk_finish(t);
    count("FIONREAD, at the end", t->fd, FIONREAD);
    said("close", close(t->fd));
}

void op_fionbio(struct talk *t)
{
    int on = 1, off = 0;
    char byte;

    said("on", ioctl(t->fd, FIONBIO, &on));
    if (t->state == STATE_CONNECTED)
        said("recv", recv(t->fd, &byte, 1, 0));
    talk_reach(t, t->state < STATE_SENT ? STATE_SENT : t->state);
    said("off", ioctl(t->fd, FIONBIO, &off));
    talk_finish(t);
    said("on", ioctl(t->fd, FIONBIO, &on));
    said("close", close(t->fd));
}

void op_outq(struct talk *t)
{
    if (t->state == STATE_MIDDLE)
        sleep_ms(20);
    count("TIOCOUTQ", t->fd, TIOCOUTQ);
    count("SIOCINQ", t->fd, SIOCINQ);
    count("SIOCOUTQNSD", t->fd, SIOCOUTQNSD);
    talk_finish(t);
    count("TIOCOUTQ", t->fd, TIOCOUTQ);
    said("close", close(t->fd));
}

void op_ioctls(struct talk *t)
{
    count("SIOCATMARK", t->fd, SIOCATMARK);
    count("FIOGETOWN", t->fd, FIOGETOWN);
    count("TIOCGWINSZ", t->fd, TIOCGWINSZ);
    said("FIOCLEX", ioctl(t->fd, FIOCLEX));
    said("FIONCLEX", ioctl(t->fd, FIONCLEX));
    said("isatty", isatty(t->fd));
    said("nowhere", ioctl(t->fd, FIONREAD, NULL));
    said("unknown", ioctl(t->fd, 0x12345678, NULL));
    talk_end(t);
}

void op_connect_again(struct talk *t)
{
    said("connect", talk_connect(t->fd));
    said("bad family", connect(t->fd, &(struct sockaddr){ .sa_family = 77 }, sizeof(struct sockaddr)));
    said("short", connect(t->fd, &(struct sockaddr){ .sa_family = AF_INET }, 1));
    said("listen", listen(t->fd, 5));
    said("accept", accept(t->fd, NULL, NULL));
    talk_end(t);
}

void op_bind_again(struct talk *t)
{
    struct sockaddr_in any = { .sin_family = AF_INET };

    said("bind", bind(t->fd, (struct sockaddr *)&any, sizeof any));
    if (t->state != STATE_NEW)
        said("nowhere", bind(t->fd, NULL, sizeof any));
    talk_end(t);
}

void op_fstat(struct talk *t)
{
    struct stat s;

    said("fstat", fstat(t->fd, &s));
    said("a socket", S_ISSOCK(s.st_mode));
    said("seek", lseek(t->fd, 0, SEEK_SET));
    talk_end(t);
}
