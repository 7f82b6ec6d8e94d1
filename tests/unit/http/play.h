/* SPDX-License-Identifier: ISC */
/* play: plays a conversation through an exchange as the library would, with both inputs cut
 * in any way, and keeps what came out.  Every input ends at a guard page.
 *
 * With PLAY_THROUGH_WIRE the library itself plays it, on a tracked socket: tests/unit/wire. */
#ifndef UNIT_HTTP_PLAY_H
#define UNIT_HTTP_PLAY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memrchr */
#endif

#include "guard.h"
#include "seed.h"

#include "base/reason.h"
#include "base/slice.h"
#include "http/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PLAY_MAX (192u * 1024)
#define PLAY_AUTHORITY "192.0.2.1:8080"

struct play_buffer {
    size_t len;
    char data[PLAY_MAX];
};

struct play {
    struct exchange x;
    struct play_buffer to_server, to_client; /* what came out */
    struct play_buffer client_kept, server_kept;
    size_t sent;       /* of client_kept, by PASS_KEEP */
    size_t server_fed; /* bytes from the server so far */
    size_t ended_at;   /* server_fed when END first came, 0: never */
    bool broken, asked_close;
    bool observes; /* set before play_start: every head that is answered goes to exchange_observe */
    size_t given;  /* of server_kept: the client of an observed exchange has them already */
};

static inline void play_append(struct play_buffer *b, const char *bytes, size_t len)
{
    assert_true(b->len + len <= PLAY_MAX);
    memcpy(b->data + b->len, bytes, len);
    b->len += len;
}

static inline void play_consume(struct play_buffer *b, size_t len)
{
    assert_true(len <= b->len);
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

#ifdef PLAY_THROUGH_WIRE
#include "unit/wire/wire.h"
#else

#define PLAY_LEAVES_REST false

static inline void play_start(struct play *p)
{
    exchange_init(&p->x);
    p->to_server.len = p->to_client.len = p->client_kept.len = p->server_kept.len = 0;
    p->sent = p->given = p->server_fed = p->ended_at = 0;
    p->broken = p->asked_close = false;
}

static inline void play_head(struct play *p, const char *head, size_t take)
{
    struct slice authority = SLICE(PLAY_AUTHORITY);
    size_t cap = take + authority.len + EXCHANGE_REQUEST_GROWTH, len;
    char *out;

    if (p->observes) {
        exchange_observe(&p->x);
        play_append(&p->to_server, head + p->sent, take - p->sent);
        play_consume(&p->client_kept, take);
        p->sent = 0;
        return;
    }
    if (!p->x.request.one_shot) {
        exchange_release(&p->x, REASON_client_persists);
        return;
    }
    out = malloc(cap);
    len = exchange_adapt(&p->x, head, take, authority, out);
    assert_true(len <= cap);
    assert_memory_equal(out, p->client_kept.data, p->sent);
    play_append(&p->to_server, out + p->sent, len - p->sent);
    free(out);
    play_consume(&p->client_kept, take);
    p->sent = 0;
}

/* One call; false: there is nothing more to show. */
static inline bool play_client_step(struct play *p)
{
    const char *input = guard_put(p->client_kept.data, p->client_kept.len, 0);
    bool observed = p->x.kind == EXCHANGE_OBSERVED;
    struct exchange_step step = exchange_client(&p->x, input, p->client_kept.len);

    if (observed)
        assert_true(step.action == EXCHANGE_PASS || step.action == EXCHANGE_PASS_KEEP);

    if (p->x.kind == EXCHANGE_OPAQUE) {
        assert_int_equal(step.action, EXCHANGE_PASS);
        assert_int_equal(step.take, p->client_kept.len);
    }
    switch (step.action) {
    case EXCHANGE_HOLD:
        return false;
    case EXCHANGE_PASS_KEEP:
        play_append(&p->to_server, p->client_kept.data + p->sent, p->client_kept.len - p->sent);
        p->sent = p->client_kept.len;
        return false;
    case EXCHANGE_HEAD:
        play_head(p, input, step.take);
        break;
    case EXCHANGE_PASS:
        assert_true(step.take > 0 && step.take >= p->sent);
        play_append(&p->to_server, p->client_kept.data + p->sent, step.take - p->sent);
        p->sent = 0;
        play_consume(&p->client_kept, step.take);
        break;
    case EXCHANGE_DROP:
        assert_true(step.take > 0 && p->sent == 0);
        play_consume(&p->client_kept, step.take);
        break;
    }
    return p->client_kept.len > 0;
}

static inline void play_client(struct play *p, const char *bytes, size_t len)
{
    play_append(&p->client_kept, bytes, len);
    if (len > 0)
        while (play_client_step(p))
            ;
}

static inline void play_follow(struct play *p, const char *bytes, size_t len)
{
    const char *input;
    size_t used;

    play_append(&p->to_client, bytes, len);
    play_append(&p->server_kept, bytes, len);
    input = guard_put(p->server_kept.data, p->server_kept.len, 0);
    used = exchange_follow(&p->x, input, p->server_kept.len);
    assert_true(used <= p->server_kept.len);
    assert_memory_equal(input, p->server_kept.data, p->server_kept.len);
    play_consume(&p->server_kept, used);
    assert_true(p->server_kept.len < EXCHANGE_HEAD_MAX);
    p->given = p->server_kept.len;
}

static inline void play_edit(struct play *p, const char *bytes, size_t len)
{
    bool in_head = exchange_in_head(&p->x);
    size_t room = in_head ? EXCHANGE_RESPONSE_GROWTH : 0, head_end;
    struct exchange_reply reply;
    char *input;

    play_append(&p->server_kept, bytes, len);
    p->server_fed += len;
    input = guard_put(p->server_kept.data, p->server_kept.len, room);
    head_end = exchange_head_end(&p->x, input, p->server_kept.len);
    reply = exchange_server(&p->x, input, p->server_kept.len);
    assert_true(reply.used <= p->server_kept.len && reply.out <= reply.used + room);
    assert_true(head_end <= p->server_kept.len);
    if (reply.flow != EXCHANGE_MORE)
        assert_int_equal(reply.used, p->server_kept.len);
    if (in_head && reply.flow == EXCHANGE_MORE && p->x.request.minor == 0)
        assert_int_equal(head_end, 0);
    if (reply.flow == EXCHANGE_END && p->ended_at == 0)
        p->ended_at = p->server_fed;
    if (reply.flow == EXCHANGE_END)
        assert_int_equal(exchange_body_left(&p->x), 0);
    p->broken |= reply.flow == EXCHANGE_BROKEN;
    p->asked_close |= exchange_asks_close(&p->x);
    assert_false(exchange_asks_close(&p->x));
    play_append(&p->to_client, input, reply.out);
    play_consume(&p->server_kept, reply.used);
}

static inline void play_server(struct play *p, const char *bytes, size_t len)
{
    if (p->x.kind == EXCHANGE_OBSERVED) {
        play_follow(p, bytes, len);
        return;
    }
    play_consume(&p->server_kept, p->given);
    p->given = 0;
    play_edit(p, bytes, len);
    while (p->x.kind == EXCHANGE_ADAPTED && p->client_kept.len > 0 && play_client_step(p))
        ;
}

/* Both ends have nothing more: what is still held goes out as it is; what is held behind an adapted request does
 * not. */
static inline void play_finish(struct play *p)
{
    if (p->x.kind != EXCHANGE_ADAPTED)
        play_append(&p->to_server, p->client_kept.data + p->sent, p->client_kept.len - p->sent);
    play_append(&p->to_client, p->server_kept.data + p->given, p->server_kept.len - p->given);
    p->client_kept.len = p->server_kept.len = p->sent = p->given = 0;
}

#endif

/* Cuts an input in pieces: `first` bytes, then `each` at a time; 0: all that is left. */
struct play_cut {
    size_t first, each;
};

typedef void play_fn(struct play *p, const char *bytes, size_t len);

static inline void play_pieces(struct play *p, play_fn *feed, struct slice input, struct play_cut cut)
{
    size_t at = 0, next = cut.first ? cut.first : input.len;

    while (at < input.len) {
        size_t n = next < input.len - at ? next : input.len - at;

        feed(p, input.data + at, n);
        at += n;
        next = cut.each ? cut.each : input.len;
    }
}

static inline void play_all(struct play *p, struct slice client, struct play_cut client_cut,
                            struct slice server, struct play_cut server_cut)
{
    play_start(p);
    play_pieces(p, play_client, client, client_cut);
    play_pieces(p, play_server, server, server_cut);
    play_finish(p);
}

/* What a conversation should come to. */
enum play_outcome { PLAY_OPEN, PLAY_END, PLAY_BROKEN, PLAY_ASKS_CLOSE };

struct play_row {
    const char *name;
    struct slice client, server;
    struct slice to_server, to_client; /* data NULL: the same as what came in */
    enum play_outcome outcome;
    enum reason verdict;
};

#define S(literal)                                                                                           \
    {                                                                                                        \
        (literal), sizeof(literal) - 1                                                                       \
    }
#define SAME                                                                                                 \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }

static inline enum play_outcome play_outcome_of(const struct play *p)
{
    if (p->broken)
        return PLAY_BROKEN;
    if (p->asked_close)
        return PLAY_ASKS_CLOSE;
    return p->ended_at ? PLAY_END : PLAY_OPEN;
}

/* Is it what was wanted?  `why`: the verdict that is wanted. */
static inline bool play_equal(const struct play_buffer *got, struct slice want, enum reason why)
{
    size_t len = got->len;

    if (PLAY_LEAVES_REST && why == REASON_bytes_left && len && len < want.len) { /* in whole lines: some were taken out */
        const char *feed = memrchr(got->data, '\n', len);
        len = feed ? (size_t)(feed + 1 - got->data) : len;
    } else if (len != want.len) {
        return false;
    }
    return len == 0 || memcmp(got->data, want.data, len) == 0;
}

static inline bool play_judges(const struct exchange *x, enum reason why)
{
    enum reason verdict = exchange_verdict(x);

    return verdict == why || (PLAY_LEAVES_REST && why == REASON_bytes_left && verdict == REASON_none);
}

static inline void play_compare(const struct play_row *row, const char *what, const struct play_buffer *got,
                                struct slice want)
{
    if (play_equal(got, want, row->verdict))
        return;
    fail_msg("%s: %s\n--- got\n%.*s\n--- want\n%.*s\n---", row->name, what, (int)got->len, got->data,
             (int)want.len, want.data);
}

static inline void play_check(const struct play *p, const struct play_row *row)
{
    play_compare(row, "to the server", &p->to_server, row->to_server.data ? row->to_server : row->client);
    play_compare(row, "to the client", &p->to_client, row->to_client.data ? row->to_client : row->server);
    if (play_outcome_of(p) != row->outcome)
        fail_msg("%s: outcome %d, not %d", row->name, play_outcome_of(p), row->outcome);
    if (!play_judges(&p->x, row->verdict))
        fail_msg("%s: verdict %s, not %s", row->name, reason_name(exchange_verdict(&p->x)),
                 reason_name(row->verdict));
}

/* Whole, byte by byte, and both inputs split at every offset. */
static inline void play_row(struct play *p, const struct play_row *row)
{
    static const struct play_cut whole = { 0, 0 }, bytes = { 1, 1 };
    size_t end;

#ifdef PLAY_THROUGH_WIRE
    if (row->verdict == REASON_client_persists) /* observed there: talk.h */
        return;
#endif
    play_all(p, row->client, bytes, row->server, bytes);
    play_check(p, row);
    end = p->ended_at;
    play_all(p, row->client, whole, row->server, whole);
    play_check(p, row);
    for (size_t i = 1; i < row->client.len; i++) {
        play_all(p, row->client, (struct play_cut){ i, 0 }, row->server, whole);
        play_check(p, row);
    }
    for (size_t i = 1; i < row->server.len; i++) {
        play_all(p, row->client, whole, row->server, (struct play_cut){ i, 0 });
        play_check(p, row);
        assert_int_equal(p->ended_at, end == 0 ? 0 : end <= i ? i : row->server.len);
    }
}

static inline void play_rows(const struct play_row *rows, size_t count)
{
    static struct play p;

    for (size_t i = 0; i < count; i++) {
        const struct slice turns[] = { rows[i].client, rows[i].server };

        seed_write(turns, 2);
        play_row(&p, &rows[i]);
    }
}

#endif
