/* SPDX-License-Identifier: ISC */
/* wire: what play.h does with an exchange, done by the library with a tracked socket of fake_kernel.h: what the client
 * sends goes through wire_send, what the server sends comes through wire_receive.  So each table of tests/unit/http,
 * cut at every byte, is played through real.send and real.recv. */
#ifndef UNIT_WIRE_WIRE_H
#define UNIT_WIRE_WIRE_H

#include "unit/preload/fake_conn.h"

enum { WIRE_PORT = 8080 }; /* of PLAY_AUTHORITY */

static struct {
    int fd;                 /* the client's, -1: none */
    struct conn *c;         /* what it led to; conns are never given back to the kernel */
    struct fake_socket *s;  /* the connection */
    size_t sent;            /* of what it has sent, in to_server already */
    bool awaits;            /* the client reads on where the exchange says: the end is to be asked for then */
} wire = { .fd = -1 };

/* What the server sends behind its answer is the exchange's to judge, but nobody's to read: it is not delivered, and
 * what comes after the connection was parked is found when it is lent. */
#define PLAY_LEAVES_REST true

/* What is known of the server, and idle there, is of this play only. */
static inline void wire_forget(void)
{
    static bool begun;

    if (!begun)
        fake_begin(NULL);
    begun = true;
    if (wire.fd >= 0)
        fake_end(NULL);
    wire.fd = -1;
    fake_reset();
}

/* A server that has answered a 1.1 request: else only what is idempotent would be adapted (dialect.h). */
static inline void wire_know_server(const struct endpoint *to)
{
    for (int i = 0; i < EVIDENCE_count; i++)
        evidence_forget(to, (enum evidence)i);
    evidence_note(to, EVIDENCE_HTTP11_OK);
}

/* What came out, and what the exchange is like now. */
static inline void wire_look(struct play *p)
{
    if (wire.s->out_len > wire.sent)
        play_append(&p->to_server, wire.s->out + wire.sent, wire.s->out_len - wire.sent);
    wire.sent = wire.s->out_len;
    p->x = wire.c->x;
    p->server_kept.len = p->x.kind == EXCHANGE_OBSERVED ? hold_len(&wire.c->reply.bytes) : 0;
    p->asked_close |= wire.s->write_shut && !wire.awaits;
}

static inline void play_start(struct play *p)
{
    wire_forget();
    p->to_server.len = p->to_client.len = p->client_kept.len = p->server_kept.len = 0;
    p->sent = p->given = p->server_fed = p->ended_at = 0;
    p->broken = p->asked_close = false;

    wire.fd = fake_open(true);
    wire.c = conn_find(wire.fd);
    wire.s = fake_under(wire.fd);
    wire.sent = 0;
    wire.awaits = false;
    assert_int_equal(fake_connect_to(wire.fd, WIRE_PORT), -EINPROGRESS);
    wire_know_server(&wire.c->to);
    p->x = wire.c->x;
}

static inline void play_client(struct play *p, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = fake_sends(wire.fd, guard_put(bytes + at, len - at, 0), len - at);
        if (n == CONN_SIGPIPE) /* behind the end */
            break;
        assert_true(n > 0);
        at += (size_t)n;
    }
    wire_look(p);
}

/* Reads on until there is nothing more; false: the end. */
static inline bool wire_read(struct play *p)
{
    static char bytes[65536];
    ssize_t n;

    while ((n = fake_receives(wire.fd, bytes, sizeof bytes)) > 0) {
        play_append(&p->to_client, bytes, (size_t)n);
        wire.awaits |= wire.c->x.end_when_awaited;
    }
    p->broken |= n == -ECONNRESET;
    return n == -EAGAIN;
}

/* The response is complete, and the server shows the end of the connection itself. */
static inline bool wire_is_left_to_the_server(const struct exchange *x)
{
    enum reason why = exchange_verdict(x);

    return x->kind == EXCHANGE_ADAPTED && (why == REASON_server_closes || why == REASON_server_http10) &&
           !exchange_in_head(x) && exchange_body_left(x) == 0;
}

static inline void play_server(struct play *p, const char *bytes, size_t len)
{
    fake_arrives(wire.s, bytes, len);
    p->server_fed += len;
    bool ends = !wire_read(p);
    wire_look(p);
    if ((ends || wire_is_left_to_the_server(&p->x)) && !p->broken && !p->ended_at)
        p->ended_at = p->server_fed;
}

/* The server closes, and the client: what is still held goes out. */
static inline void play_finish(struct play *p)
{
    struct exchange before = p->x;
    bool broken = p->broken, asked = p->asked_close;

    wire.s->fin = true;
    wire_read(p);
    fake_closes(wire.fd);
    wire_look(p);
    p->x = before;
    p->broken = broken;
    p->asked_close = asked;
}

/* Is a conversation that begins so one that the library observes?  One-shot requests are adapted. */
static inline bool wire_observes(struct slice first)
{
    static struct play p;

    play_start(&p);
    play_client(&p, first.data, first.len);
    play_finish(&p);
    return p.x.kind != EXCHANGE_ADAPTED;
}

#endif
