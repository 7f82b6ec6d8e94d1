/* SPDX-License-Identifier: ISC */
/* The time between two requests: what the server does to an idle connection.
 *
 * Bytes that nobody asked for are sent only while no request has come.  One may be on its way at that
 * moment: nobody could tell then whose answer they are, so that is written down ("crossed"). */
#define _GNU_SOURCE
#include "chaos.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CROSSING_US = 200 };

static const char *bytes_of(int kind)
{
    switch (kind) {
    case MOOD_408:
        return "HTTP/1.1 408 Request Timeout\r\nX-Poison: 408\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    case MOOD_GARBAGE:
        return "\r\n\r\nPOISON";
    case MOOD_HALF:
        return "HTTP/1.1 200 OK\r\nX-Poison: ha";
    default:
        return "HTTP/1.1 200 OK\r\nX-Poison: second\r\nContent-Length: 6\r\n\r\nPOISON";
    }
}

static bool has_request(const struct conn *c)
{
    int there = 0;

    return c->pos < c->len || (ioctl(c->fd, FIONREAD, &there) == 0 && there > 0);
}

static void poison(struct conn *c, int kind)
{
    const char *bytes = bytes_of(kind);

    if (has_request(c))
        return;
    send(c->fd, bytes, strlen(bytes), MSG_NOSIGNAL);
    usleep(CROSSING_US);
    c->mood.crossed = has_request(c);
}

int mood_reply(struct conn *c, struct request *r, uint64_t kind, uint64_t delay_us)
{
    struct out o = { .fd = c->fd, .left = -1 };

    if (request_read_body(c, r) < 0)
        return AFTER_CLOSE;
    book_request(c, r);
    out_text(&o, "HTTP/1.1 200 OK\r\n" ORIGIN_DATE "%sX-Mood: %llu\r\nContent-Length: 4\r\n\r\n",
             r->says_keep_alive ? "Connection: keep-alive\r\n" : "", (unsigned long long)kind);
    if (strcmp(r->method, "HEAD") != 0)
        out_bytes(&o, "mood", 4);
    out_flush(&o);
    if (r->says_close || (r->minor == 0 && !r->says_keep_alive))
        return AFTER_CLOSE;
    c->mood.kind = (int)kind;
    c->mood.delay_us = (long)delay_us;
    return AFTER_PERSIST;
}

/* The next request is there, and is not answered first. */
static void poison_latest(struct conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    const char *bytes = bytes_of(MOOD_SECOND);

    if (poll(&p, 1, -1) > 0 && has_request(c))
        send(c->fd, bytes, strlen(bytes), MSG_NOSIGNAL);
}

int mood_pass(struct conn *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    struct timespec wait = { .tv_sec = c->mood.delay_us / 1000000, .tv_nsec = c->mood.delay_us % 1000000 * 1000 };
    int kind = c->mood.kind;

    c->mood.kind = MOOD_CALM;
    c->mood.crossed = false;
    if (kind == MOOD_LATEST)
        poison_latest(c);
    if (kind == MOOD_CALM || kind == MOOD_LATEST || c->pos < c->len || ppoll(&p, 1, &wait, NULL) != 0)
        return AFTER_PERSIST;
    switch (kind) {
    case MOOD_CLOSE:
        return AFTER_CLOSE;
    case MOOD_RESET:
        return chaos_finish(c, FINISH_RESET);
    case MOOD_408:
        poison(c, kind);
        return c->mood.crossed ? AFTER_PERSIST : AFTER_CLOSE;
    default:
        poison(c, kind);
        return AFTER_PERSIST;
    }
}
