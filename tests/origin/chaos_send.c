/* SPDX-License-Identifier: ISC */
/* Sends what chaos.c has drawn.
 *
 * To be comparable: a fault in the head lies before the first field that depends on who asks; a body
 * that is cut ends after the same bytes, however it is framed.  A client that spoke HTTP/1.0 gets no
 * chunks, so where they would tell that something is missing, it gets a reset. */
#define _GNU_SOURCE
#include "chaos.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool persists(const struct request *r)
{
    return !r->says_close && (r->minor > 0 || r->says_keep_alive);
}

int chaos_finish(const struct conn *c, enum finish finish)
{
    int left = 1;

    if (finish == FINISH_FIN)
        return AFTER_CLOSE;
    for (int i = 0; i < 2000 && left > 0; i++) {
        if (ioctl(c->fd, SIOCOUTQ, &left) < 0)
            break;
        if (left > 0)
            usleep(1000);
    }
    return AFTER_RESET;
}

static bool has_body(const struct request *r, const struct chaos *p)
{
    return strcmp(r->method, "HEAD") != 0 && p->status != 204 && p->status != 304;
}

static void send_interim(struct out *o, const struct request *r, const struct chaos *p)
{
    static const char *const lines[] = { "100 Continue", "102 Processing", "103 Early Hints" };

    for (int i = 0; r->minor > 0 && i < p->interim; i++)
        out_text(o, "HTTP/1.1 %s\r\nX-Interim: %d\r\n\r\n", lines[(p->kind + i) % 3], i);
}

static void send_persistence(struct out *o, const struct request *r, const struct chaos *p)
{
    static const char *const hints[] = { [SAYS_TIMEOUT_1] = "timeout=1", [SAYS_MAX_1] = "max=1",
                                         [SAYS_BOTH] = "timeout=5, max=2" };

    if (!persists(r)) {
        if (p->kind % 2 == 0)
            out_text(o, "Connection: close\r\n");
        return;
    }
    if (p->words == SAYS_CLOSE)
        out_text(o, "Connection: close\r\n");
    else if (p->words != SAYS_NOTHING)
        out_text(o, "Connection: keep-alive\r\n");
    if (p->words >= SAYS_TIMEOUT_1 && p->words <= SAYS_BOTH)
        out_text(o, "Keep-Alive: %s\r\n", hints[p->words]);
}

static void send_framing(struct out *o, const struct request *r, const struct chaos *p)
{
    long long said = p->length;

    if (p->status == 204 || p->status == 304)
        return;
    if (p->sin == SIN_LONG_LENGTH)
        said += 1 + p->kind * 100;
    if (p->frame == FRAME_CHUNKED && r->minor > 0)
        out_text(o, "Transfer-Encoding: chunked\r\n");
    else if (p->frame == FRAME_LENGTH)
        out_text(o, "Content-Length: %lld\r\n", said);
}

static void send_head(struct out *o, const struct request *r, const struct chaos *p)
{
    static const char *const bad[] = { "HTTP/1.1 abc What\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nX-No-Colon\r\n\r\n",
                                       "This is not HTTP\n",
                                       "ICY 200 OK\r\nicy-name: x\r\n\r\n",
                                       "HTTP/2.0 200 OK\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
                                       "HTTP/1.1 2000 OK\r\n\r\n" };

    if (p->sin == SIN_BAD_HEAD) {
        out_text(o, "%s", bad[p->kind]);
        return;
    }
    out_text(o, "HTTP/1.%d %d As Drawn\r\nServer: origin\r\nX-Number: %llu\r\n", p->minor, p->status,
             (unsigned long long)p->number);
    out_text(o, "X-Method: %s\r\nContent-Type: text/plain\r\n", r->method);
    if (r->body_bytes > 0)
        out_text(o, "X-Body: %llu %016llx\r\n", (unsigned long long)r->body_bytes,
                 (unsigned long long)r->body_hash);
    send_framing(o, r, p);
    send_persistence(o, r, p);
    out_bytes(o, "\r\n", 2);
}

static void send_chunks(struct out *o, const struct chaos *p, uint64_t from, long long n)
{
    static const char *const bad[] = { "xyz\r\n",     "-5\r\nabcde\r\n", "ffffffffffffffffff\r\n", "g\r\nabc",
                                       "0x5\r\nabcde", "\r\n\r\n",        "7fffffffffffffff1\r\n",  "+5\r\nabcde\r\n" };

    for (long long at = 0; at < n; at += p->chunk) {
        long long size = n - at < p->chunk ? n - at : p->chunk;
        bool cut = p->sin == SIN_CUT_BODY && at + size == n;

        /* a chunk that is cut announces more than comes */
        out_text(o, "%llx\r\n", cut ? size + 1 + p->kind % 2 : size);
        reply_pattern(o, from + (uint64_t)at, size);
        if (!cut)
            out_bytes(o, "\r\n", 2);
    }
    if (p->sin == SIN_BAD_CHUNK)
        out_text(o, "%s", bad[p->kind]);
    else if (p->sin != SIN_CUT_BODY)
        out_text(o, p->kind % 3 ? "0\r\nX-Trailer: last\r\n\r\n" : "0\r\n\r\n");
}

static void send_body(struct out *o, const struct request *r, const struct chaos *p)
{
    bool broken = p->sin == SIN_CUT_BODY || p->sin == SIN_BAD_CHUNK;
    uint64_t from = p->number * 104729;
    long long n = broken ? p->at : p->length;

    if (p->pace == PACE_BODY_PIECES)
        o->piece = (size_t)(n / 40 + 1);
    if (p->sin == SIN_BAD_HEAD)
        out_text(o, "%.*s", p->kind * 3, "not counted, and shown as it is");
    else if (p->frame == FRAME_CHUNKED && r->minor > 0)
        send_chunks(o, p, from, n);
    else
        reply_pattern(o, from, n);
    o->piece = 0;
    if (p->sin == SIN_SHORT_LENGTH && (p->frame == FRAME_LENGTH || r->minor > 0))
        out_text(o, "%s", p->kind < 4 ? "\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON");
}

static void send_all(struct out *o, const struct request *r, const struct chaos *p)
{
    bool spare = p->sin == SIN_SHORT_LENGTH; /* all in one segment */

    if (p->sin == SIN_CUT_HEAD) {
        o->left = p->at;
    } else {
        send_interim(o, r, p);
        if (p->interim > 0 && !spare)
            out_flush(o);
    }
    if (p->pace == PACE_HEAD_BYTES)
        o->piece = 1;
    send_head(o, r, p);
    o->piece = 0;
    if (p->pace == PACE_STALL && !spare) {
        out_flush(o);
        usleep((useconds_t)p->stall_us);
    }
    if (has_body(r, p))
        send_body(o, r, p);
    out_flush(o);
}

/* Without chunks an end would look like the end. */
static bool must_reset(const struct request *r, const struct chaos *p)
{
    return r->minor == 0 && p->frame == FRAME_CHUNKED && has_body(r, p) &&
           (p->sin == SIN_CUT_BODY || p->sin == SIN_BAD_CHUNK);
}

static int end_of(struct conn *c, const struct request *r, const struct chaos *p, const struct out *o)
{
    bool until_close = has_body(r, p) && (p->frame == FRAME_CLOSE || (p->frame == FRAME_CHUNKED && r->minor == 0));
    bool ends = o->failed || p->sin == SIN_CUT_HEAD || p->sin == SIN_BAD_HEAD;

    if (has_body(r, p))
        ends |= p->sin == SIN_CUT_BODY || p->sin == SIN_BAD_CHUNK || p->sin == SIN_LONG_LENGTH;
    if (must_reset(r, p))
        return chaos_finish(c, FINISH_RESET);
    /* after a complete answer there is nothing that a reset could be told by */
    if (ends && p->sin != SIN_BAD_CHUNK && (has_body(r, p) || p->sin == SIN_CUT_HEAD))
        return chaos_finish(c, p->finish);
    if (ends || until_close || !persists(r) || p->words == SAYS_CLOSE)
        return AFTER_CLOSE;
    if (c->mood.left > 0 && --c->mood.left == 0)
        return AFTER_CLOSE; /* it had said max=1 */
    if (p->words == SAYS_MAX_1)
        c->mood.left = 1;
    c->mood.kind = p->mood.kind;
    c->mood.delay_us = p->mood.delay_us;
    return AFTER_PERSIST;
}

/* A body is not taken in before an early answer: the client must be sent that without waiting. */
static int read_first(struct conn *c, struct request *r, const struct chaos *p)
{
    if (p->sin == SIN_SLAM && (r->chunked || r->length > 0))
        return -1;
    if (p->sin == SIN_EARLY)
        return 0;
    if (request_read_body(c, r) < 0)
        return -1;
    book_request(c, r);
    return 0;
}

int chaos_reply(struct conn *c, struct request *r, uint64_t seed, uint64_t number)
{
    struct out o = { .fd = c->fd, .left = -1 };
    struct chaos p;
    int after;

    chaos_plan(&p, seed, number, r->chunked || r->length > 0);
    if (read_first(c, r, &p) < 0)
        return AFTER_CLOSE;
    if (p.sin == SIN_SLAM || p.sin == SIN_NO_ANSWER)
        return chaos_finish(c, p.finish);
    send_all(&o, r, &p);
    after = end_of(c, r, &p, &o);
    if (p.sin != SIN_EARLY)
        return after;
    if (request_read_body(c, r) < 0)
        return AFTER_CLOSE;
    book_request(c, r);
    return after;
}
