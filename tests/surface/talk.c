/* SPDX-License-Identifier: ISC */
/* An exchange, step by step. */
#define _GNU_SOURCE
#include "surface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

int talk_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | (run.nonblocking ? SOCK_NONBLOCK : 0), 0);
}

int talk_connect(int fd)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)run.port) };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd, (struct sockaddr *)&to, sizeof to);
}

const struct io io_libc = { talk_socket, talk_connect, write, read, close };

int talk_seed(void)
{
    static int seed;

    return __atomic_add_fetch(&seed, 1, __ATOMIC_RELAXED);
}

void talk_init(struct talk *t)
{
    memset(t, 0, sizeof *t);
    t->io = &io_libc;
    t->fd = -1;
    t->length = t->connection = -1;
    t->hash = HASH_START;
    talk_ask(t, talk_seed());
}

void talk_ask(struct talk *t, int seed)
{
    t->seed = seed;
    t->request_len = (size_t)snprintf(
        t->request, sizeof t->request,
        "GET /%s/%ld?seed=%d&conn=1%s HTTP/1.%d\r\nHost: 127.0.0.1:%d\r\nConnection: %s\r\n\r\n", run.kind,
        run.size, t->seed, run.late ? "&stall=400" : run.slow ? "&split=1&stall-body=150" : "&piece=5000&delay=1000", run.keep,
        run.port, run.keep ? "keep-alive" : "close");
}

static void wait_for(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };

    poll(&p, 1, -1);
}

static void fail(const char *what)
{
    said(what, -1);
    _exit(90);
}

static void do_connect(struct talk *t)
{
    if (t->io->connect(t->fd) == 0)
        return;
    if (errno != EINPROGRESS)
        fail("connect");
    wait_for(t->fd, POLLOUT);
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    errno = error;
    if (error)
        fail("connect, later");
}

static void do_send(struct talk *t, size_t until)
{
    while (t->sent < until) {
        ssize_t n = t->io->write(t->fd, t->request + t->sent, until - t->sent);

        if (n > 0)
            t->sent += (size_t)n;
        else if (errno == EAGAIN)
            wait_for(t->fd, POLLOUT);
        else if (errno != EINTR)
            fail("write");
    }
}

static long field(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? atol(at + strlen(name)) : -1;
}

static void head_done(struct talk *t)
{
    t->in_body = true;
    t->status = t->head_len > 12 ? atol(t->head + 9) : 0;
    t->length = field(t->head, "\r\nContent-Length:");
    t->connection = field(t->head, "\r\nX-Connection:");
}

void talk_feed(struct talk *t, const void *bytes, size_t n)
{
    const char *at = bytes;

    for (; n && !t->in_body; n--) {
        if (t->head_len == sizeof t->head - 1)
            fail("head too long");
        t->head[t->head_len++] = *at++;
        if (t->head_len >= 4 && memcmp(t->head + t->head_len - 4, "\r\n\r\n", 4) == 0)
            head_done(t);
    }
    t->hash = hash_bytes(t->hash, at, n);
    t->body += n;
    if (run.keep && t->in_body && t->length >= 0 && (long)t->body >= t->length) {
        t->over = true;
        strcpy(t->end, "length");
    }
}

void talk_ended(struct talk *t, ssize_t result)
{
    t->over = true;
    snprintf(t->end, sizeof t->end, "%s", result == 0 ? "end" : strerror(errno));
}

bool talk_take(struct talk *t, size_t n)
{
    char buf[65536];

    while (!t->over) {
        ssize_t got = t->io->read(t->fd, buf, n < sizeof buf ? n : sizeof buf);

        if (got > 0) {
            talk_feed(t, buf, (size_t)got);
            return !t->over;
        }
        if (got < 0 && errno == EAGAIN)
            wait_for(t->fd, POLLIN);
        else if (got == 0 || errno != EINTR)
            talk_ended(t, got);
    }
    return false;
}

void talk_body(struct talk *t, size_t n)
{
    while (!t->in_body && talk_take(t, 600))
        ;
    while (t->body < n && talk_take(t, n - t->body))
        ;
}

size_t talk_half(const struct talk *t)
{
    return (size_t)(strstr(t->request, "\r\n") + 5 - t->request);
}

static void step(struct talk *t)
{
    switch (t->state) {
    case STATE_NEW:
        do_connect(t);
        break;
    case STATE_CONNECTED:
        do_send(t, talk_half(t));
        break;
    case STATE_HALF:
        do_send(t, t->request_len);
        break;
    case STATE_SENT:
        talk_body(t, MIDDLE_BYTES);
        break;
    default:
        while (talk_take(t, sizeof t->head))
            ;
    }
    t->state++;
}

void talk_reach(struct talk *t, enum state state)
{
    if (t->fd < 0 && (t->fd = t->io->socket()) < 0)
        fail("socket");
    if (t->state == STATE_CONNECTED && state > STATE_HALF) {
        do_send(t, t->request_len);
        t->state = STATE_SENT;
    }
    while (t->state < state)
        step(t);
}

void talk_report(const struct talk *t)
{
    say("%ld length %ld body %zu %016llx %s", t->status, t->length, t->body, (unsigned long long)t->hash,
        t->end);
}

/* A second request on the connection of a client that keeps it. */
static void again(struct talk *t)
{
    struct talk next;

    talk_init(&next);
    next.fd = t->fd;
    next.io = t->io;
    next.state = STATE_CONNECTED;
    talk_reach(&next, STATE_ENDED);
    talk_report(&next);
}

void talk_finish(struct talk *t)
{
    bool had_ended = t->state == STATE_ENDED;

    talk_reach(t, STATE_ENDED);
    talk_report(t);
    if (run.keep && had_ended)
        again(t);
    else if (had_ended)
        said("read after the end", t->io->read(t->fd, t->head, 10));
}

void talk_end(struct talk *t)
{
    talk_finish(t);
    said("close", t->io->close(t->fd));
}

void talk_whole(int n)
{
    for (int i = 0; i < n; i++) {
        struct talk t;

        talk_init(&t);
        talk_reach(&t, STATE_ENDED);
        talk_report(&t);
        if (close(t.fd) != 0)
            said("close", -1);
    }
}
