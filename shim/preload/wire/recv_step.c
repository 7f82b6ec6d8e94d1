/* SPDX-License-Identifier: ISC */
/* The steps of a receive.  Each follows what one real receive gave: a head, edited in the client's buffer or aside, the byte
 * that was left of one, a body.  Where the client is observed, no byte changes; only the beginning of an answer is held,
 * while it is in doubt whose answer it is. */
#define _GNU_SOURCE
#include "preload/wire/recv.h"

#include "preload/conn/parking.h"
#include "preload/conn/path.h"
#include "preload/fds/socket.h"
#include "preload/libc/real.h"
#include "preload/wire/dialect.h"
#include "preload/wire/lookahead.h"
#include "preload/wire/observed.h"
#include "preload/wire/provisional.h"

#include <errno.h>
#include <string.h>

enum { ROOMY = 1024 }; /* a client's buffer that most heads fit */

/* Whose answer are these bytes?  -ESTALE or -errno as provisional_judge; 0: it could still be anything; else go on. */
static int judge(struct conn *c, const char *bytes, size_t len, size_t taken)
{
    bool begins = c->reused && !exchange_answered(&c->x) && !hold_len(&c->reply.bytes);

    if (begins && parking_answers_another(c))
        return (int)provisional_earlier_reply(c);
    if (provisional_in_doubt(c))
        return provisional_judge(c, (struct slice){ bytes, len }, taken);
    return dialect_waits(c) ? dialect_judge(c, (struct slice){ bytes, len }) : 1;
}

/* Does what the exchange says.  Returns how many bytes are the client's; -ESTALE: none, and more is to come. */
static ssize_t follow_reply(struct conn *c, struct exchange_reply reply)
{
    ssize_t out = incoming_follow(c, reply);

    return out ? out : conn_is_exchange(c) ? -ESTALE : 0;
}

/* The exchange follows n bytes that a real receive gave.  As follow_reply. */
static ssize_t follow(struct conn *c, char *bytes, size_t n)
{
    if (!conn_is_observed(c))
        return follow_reply(c, exchange_server(&c->x, bytes, n));
    observed_follow(c, bytes, n);
    return (ssize_t)n;
}

/* OBSERVED: what was held until it was known whose it is is the client's. */
static void give_held(struct conn *c)
{
    bool any = hold_len(&c->reply.bytes);

    c->reply.held = any ? HELD_FOR_CLIENT : HELD_NOTHING;
    if (!any)
        hold_clear(&c->reply.bytes);
}

/* Head, and the client's buffer has room for it: read there and edit there. */
static ssize_t recv_head_in_place(struct conn *c, struct incoming *call, char *buf, size_t len)
{
    size_t raw = hold_len(&c->reply.bytes);
    ssize_t n = incoming_receive(c, call, buf + raw, len - raw - EXCHANGE_RESPONSE_GROWTH, false);

    if (n <= 0)
        return incoming_at_end(c, n);
    if (raw)
        memcpy(buf, c->reply.bytes.data, raw);
    int verdict = judge(c, buf, raw + (size_t)n, raw + (c->reply.peeked_unread ? 0 : (size_t)n));
    if (verdict < 0)
        return verdict;
    struct exchange_reply reply = { .out = raw + (size_t)n, .flow = EXCHANGE_DATA };
    if (!conn_is_observed(c))
        reply = exchange_server(&c->x, buf, raw + (size_t)n);
    else if (verdict == 0)
        reply = (struct exchange_reply){ .flow = EXCHANGE_MORE };
    c->reply.bytes.start = c->reply.bytes.end = 0;
    if (reply.flow != EXCHANGE_MORE) {
        hold_clear(&c->reply.bytes);
        c->reply.held = HELD_NOTHING;
    } else if (hold_append(&c->reply.bytes, buf + reply.used, raw + (size_t)n - reply.used)) {
        c->reply.held = HELD_RAW;
    } else {
        exchange_release(&c->x, REASON_no_memory);
        reply.out = raw + (size_t)n;
    }
    if (!conn_is_observed(c))
        return follow_reply(c, reply);
    return reply.out ? follow(c, buf, reply.out) : -ESTALE;
}

/* Peeks at what has arrived behind the raw bytes that are held already. */
static ssize_t peek_head(struct conn *c, struct incoming *call)
{
    struct hold *h = &c->reply.bytes;

    if (!hold_reserve(h, INCOMING_ROOM - h->end))
        return -ENOMEM;
    c->reply.held = HELD_RAW;
    return incoming_receive(c, call, h->data + h->end, INCOMING_ROOM - EXCHANGE_RESPONSE_GROWTH - h->end, true);
}

/* Head, and the client peeks or has little room.  Makes response.data ready; -ESTALE: look again. */
static ssize_t recv_head_aside(struct conn *c, struct incoming *call)
{
    struct hold *h = &c->reply.bytes;
    ssize_t n = peek_head(c, call);

    if (n <= 0) {
        if (socket_is_end(n) && hold_len(h) == 0)
            hold_clear(h);
        return incoming_at_end(c, n);
    }
    int verdict = judge(c, h->data, h->end + (size_t)n, h->end);
    if (verdict < 0)
        return verdict;
    if (conn_is_observed(c)) {
        size_t taken = verdict ? 0 : (size_t)n - socket_discard(call->fd, (size_t)n);
        call->took |= taken > 0;
        h->end += taken;
        if (verdict)
            give_held(c);
        return -ESTALE;
    }
    size_t whole = exchange_head_end(&c->x, h->data, h->end + (size_t)n);
    bool tail = whole > h->end;
    size_t take = tail ? whole - 1 - h->end : whole ? 0 : (size_t)n;
    ssize_t took = take && c->fds.count ? real.recv(call->fd, h->data + h->end, take, MSG_DONTWAIT) : (ssize_t)take;
    if (took < 0 && errno == EAGAIN)
        return call->wait ? -ESTALE : -EAGAIN; /* by another process */
    if (took <= 0 && take)
        return took && errno == EINTR ? -ESTALE : incoming_at_end(c, took ? -errno : 0);
    call->took |= take > 0;
    h->end += (size_t)took;
    if (!whole) { /* interim responses that the client does not see go now: if no more comes, it would be given them */
        const size_t gone = exchange_server(&c->x, h->data, h->end).used;
        h->end -= gone;
        memmove(h->data, h->data + gone, h->end);
    }
    if (!whole || (size_t)took < take)
        return -ESTALE;
    struct exchange_reply reply = exchange_server(&c->x, h->data, whole);
    h->end = reply.out - (tail && reply.out);
    c->reply.held = HELD_FOR_CLIENT;
    c->reply.tail = !tail || !reply.out ? TAIL_NONE : reply.flow == EXCHANGE_END ? TAIL_END : TAIL_BYTE;
    if (c->reply.tail == TAIL_END)
        reply.flow = EXCHANGE_DATA; /* it ends with the byte that is left */
    incoming_follow(c, reply);
    return -ESTALE;
}

/* The byte that was left in the kernel, and what follows it. */
static ssize_t receive_tail(struct conn *c, struct incoming *call, char *buf, size_t len)
{
    /* Behind an interim response comes another head, which has its own way. */
    bool ends = c->reply.tail == TAIL_END, alone = ends || exchange_in_head(&c->x);
    ssize_t n = incoming_receive(c, call, buf, alone ? 1 : len, false);

    if (n <= 0)
        return incoming_at_end(c, n);
    c->reply.tail = TAIL_NONE;
    if (n == 1)
        incoming_discard(c, ends ? EXCHANGE_END : EXCHANGE_DATA);
    if (ends)
        incoming_end(c);
    if (n == 1)
        return 1;
    return 1 + incoming_follow(c, exchange_server(&c->x, buf + 1, (size_t)n - 1));
}

static ssize_t recv_body(struct conn *c, struct incoming *call, char *buf, size_t len)
{
    if (!call->took)
        incoming_awaits_end(c);
    ssize_t n = incoming_receive(c, call, buf, len, false);

    return n > 0 ? follow(c, buf, (size_t)n) : incoming_at_end(c, n);
}

/* OBSERVED, a peek: nothing is followed. */
static ssize_t peek_as_it_is(struct conn *c, struct incoming *call, char *buf, size_t len)
{
    ssize_t n = incoming_receive(c, call, buf, len, true);

    if (n <= 0)
        return incoming_at_end(c, n);
    path_answered(c, exchange_idle(&c->x));
    return n;
}

static size_t serve_held(struct conn *c, char *buf, size_t len, size_t offset, bool peek)
{
    struct hold *h = &c->reply.bytes;
    size_t n = hold_len(h) - offset;

    if (n > len)
        n = len;
    memcpy(buf, h->data + h->start + offset, n);
    if (!peek) {
        h->start += n;
        if (h->start == h->end && conn_is_observed(c))
            observed_follow_held(c);
        else if (h->start == h->end)
            hold_clear(h);
    }
    return n;
}

ssize_t recv_step(struct conn *c, struct incoming *call, char *buf, size_t len, size_t peeked)
{
    if (incoming_for_client(c) > peeked) {
        call->full = true; /* the kernel may have more behind what was held */
        return (ssize_t)serve_held(c, buf, len, peeked, call->peek);
    }
    if (!conn_is_asked(c) || c->reply.error || c->reply.broken) {
        int error = c->reply.error;
        if (!call->peek)
            c->reply.error = 0;
        return -error;
    }
    bool observed = conn_is_observed(c), opens = observed ? provisional_in_doubt(c) : exchange_in_head(&c->x);
    if (observed && !opens && c->reply.held == HELD_RAW) { /* it cannot be sent again any more */
        give_held(c);
        return -ESTALE;
    }
    if (call->peek && (c->reply.tail || !opens))
        return observed ? peek_as_it_is(c, call, buf, len) : lookahead_peek(c, call, buf, len);
    if (c->reply.tail)
        return receive_tail(c, call, buf, len);
    if (!opens)
        return recv_body(c, call, buf, len);
    size_t raw = hold_len(&c->reply.bytes);
    if (call->peek || len < ROOMY || len < raw + EXCHANGE_RESPONSE_GROWTH + ROOMY / 2)
        return recv_head_aside(c, call);
    return recv_head_in_place(c, call, buf, len);
}
