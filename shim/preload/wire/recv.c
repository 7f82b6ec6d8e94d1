/* SPDX-License-Identifier: ISC */
/* A receive is made of steps, each of which follows what one real receive gave: a head, edited in the client's buffer or
 * aside, the byte that was left of one, a body.  The loops give no less than the kernel would have given. */
#define _GNU_SOURCE
#include "preload/wire/recv.h"

#include "base/block.h"
#include "preload/conn/parking.h"
#include "preload/wire/dialect.h"
#include "preload/wire/incoming.h"
#include "preload/wire/lookahead.h"
#include "preload/wire/observed.h"
#include "preload/wire/provisional.h"
#include "preload/conn/swap.h"
#include "preload/libc/real.h"
#include "preload/conn/withheld.h"
#include "preload/self/self.h"
#include "preload/fds/socket.h"
#include "preload/wire/release.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

enum {
    ROOMY = 1024, /* a client's buffer that most heads fit */
    PATIENCE_MS = 10000,
};

/* The first bytes of a response: are they one to an earlier request? */
static bool is_foreign(struct conn *c, ssize_t n)
{
    return n > 0 && c->reused && !exchange_answered(&c->x) && !hold_len(&c->reply.bytes) &&
           parking_answers_another(c);
}

/* -ESTALE or -errno as provisional_judge; else go on. */
static int judge(struct conn *c, const char *bytes, size_t len, size_t taken)
{
    if (provisional_is(c) || c->reply.first)
        return provisional_judge(c, (struct slice){ bytes, len }, taken);
    return dialect_waits(c) ? dialect_judge(c, (struct slice){ bytes, len }) : 1;
}

/* Head, and the client's buffer has room for it: read there and edit there. */
static ssize_t recv_head_in_place(struct conn *c, struct incoming *call, char *buf, size_t len)
{
    size_t raw = hold_len(&c->reply.bytes);
    ssize_t n = incoming_receive(c, call, buf + raw, len - raw - EXCHANGE_RESPONSE_GROWTH, false);

    if (n <= 0)
        return incoming_at_end(c, n);
    if (is_foreign(c, n))
        return provisional_earlier_reply(c);
    if (raw)
        memcpy(buf, c->reply.bytes.data, raw);
    int verdict = judge(c, buf, raw + (size_t)n, raw + (c->reply.peeked_unread ? 0 : (size_t)n));
    if (verdict < 0)
        return verdict;
    struct exchange_reply reply = exchange_server(&c->x, buf, raw + (size_t)n);
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
    ssize_t out = incoming_follow(c, reply);
    return out ? out : conn_is_exchange(c) ? -ESTALE : 0;
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
    if (is_foreign(c, n))
        return provisional_earlier_reply(c);
    int verdict = judge(c, h->data, h->end + (size_t)n, h->end);
    if (verdict < 0)
        return verdict;
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
    if (!whole || (size_t)took < take)
        return -ESTALE;
    struct exchange_reply reply = exchange_server(&c->x, h->data, whole);
    h->end = reply.out - (tail && reply.out);
    c->reply.held = HELD_EDITED;
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

    if (n <= 0)
        return incoming_at_end(c, n);
    ssize_t out = incoming_follow(c, exchange_server(&c->x, buf, (size_t)n));
    return out ? out : conn_is_exchange(c) ? -ESTALE : 0;
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
        if (h->start == h->end)
            hold_clear(h);
    }
    return n;
}

ssize_t recv_step(struct conn *c, struct incoming *call, char *buf, size_t len, size_t peeked)
{
    if (incoming_edited(c) > peeked) {
        call->full = true; /* the kernel may have more behind what was held */
        return (ssize_t)serve_held(c, buf, len, peeked, call->peek);
    }
    if (!conn_is_exchange(c) || c->reply.error || c->reply.broken) {
        int error = c->reply.error;
        if (!call->peek)
            c->reply.error = 0;
        return -error;
    }
    if (call->peek && (c->reply.tail || !exchange_in_head(&c->x)))
        return lookahead_peek(c, call, buf, len);
    if (c->reply.tail)
        return receive_tail(c, call, buf, len);
    if (!exchange_in_head(&c->x))
        return recv_body(c, call, buf, len);
    size_t raw = hold_len(&c->reply.bytes);
    if (call->peek || len < ROOMY || len < raw + EXCHANGE_RESPONSE_GROWTH + ROOMY / 2)
        return recv_head_aside(c, call);
    return recv_head_in_place(c, call, buf, len);
}

/* A blocking client that polls and then receives with MSG_DONTWAIT takes EAGAIN for a failure (PHP).
 * Where bytes were taken that make nothing yet, half a head, or where what it was told of was the end of
 * a connection that has been replaced, it is made to wait for more.  False: no such case, or too long. */
static bool wait_for_more(struct conn *c, const struct incoming *call, uint64_t *deadline)
{
    struct pollfd wait = { .fd = call->fd, .events = POLLIN };

    if (c->nonblocking || call->peek || (!call->took && c->reply.seen != SEEN_READABLE))
        return false;
    uint64_t now = self_now_ms();
    if (!*deadline)
        *deadline = now + PATIENCE_MS;
    if (now >= *deadline)
        return false;
    conn_outside_begin(c);
    int ready = real.poll(&wait, 1, (int)(*deadline - now));
    conn_outside_end(c);
    return ready > 0;
}

/* Never shorter than the kernel would have been: goes on, without waiting, until the buffer is full,
 * the kernel has no more, or the message ends. */
static ssize_t recv_exchange(struct conn *c, struct incoming *call, char *buf, size_t len, bool waitall)
{
    bool may_wait = call->wait, lost = false;
    uint64_t deadline = 0;
    size_t got = 0;

    while (got < len && !(lost = c->fds.count == 0 && !incoming_edited(c))) {
        call->wait = may_wait && (got == 0 || waitall);
        call->full = false;
        size_t held = incoming_edited(c);
        ssize_t n = recv_step(c, call, buf + got, len - got, call->peek ? got : 0);
        if (n == -ESTALE)
            continue;
        if (n == -EAGAIN && got == 0 && !may_wait && wait_for_more(c, call, &deadline))
            continue;
        if (n == 0 || (n < 0 && got && (n == -EAGAIN || n == -EINTR)))
            break;
        if (n < 0 && got) {
            c->reply.error = (int)-n;
            break;
        }
        if (n < 0)
            return n;
        got += (size_t)n;
        conn_saw(c, SEEN_BYTES);
        if (call->peek && held <= got - (size_t)n)
            break; /* what the kernel had was seen */
        if (!waitall && !call->full)
            break;
    }
    if (lost && got == 0)
        return conn_lost(c);
    if (!call->peek && got == len && c->fds.count && (c->reply.seen == SEEN_PEEKS || exchange_between_chunks(&c->x)))
        lookahead_take_framing(c, call);
    return (ssize_t)got;
}

/* A client that receives before it has sent through us: libc's answer.  While another thread sends the request,
 * it must not take the response away, neither by waiting here nor by a call that is made a moment later: it looks
 * without taking.  What arrives on an idle connection although nothing was sent answers something that left
 * unseen, or it is dead: libc alone has it from then on. */
static ssize_t recv_before_request(struct conn *c, int fd, int flags)
{
    bool wait = !c->nonblocking && !(flags & MSG_DONTWAIT);
    unsigned generation = c->fds.generation;

    if (flags & (MSG_OOB | MSG_ERRQUEUE))
        return CONN_PLAIN;
    if (hold_len(&c->request.bytes) && (wait || withheld_due(c))) { /* it waits for an answer to that */
        int result = release_some(c, fd);
        if (result < 0 || c->fds.count == 0)
            return result < 0 ? result : CONN_PLAIN;
        fd = conn_number(c, fd);
        generation = c->fds.generation;
    }
    ssize_t n = incoming_wait(c, fd, wait ? 0 : MSG_DONTWAIT);
    int error = n < 0 ? errno : 0;
    conn_wait_reconnected(c);
    if (c->fds.generation != generation || conn_is_asked(c))
        return -ESTALE;
    bool end = error ? socket_is_end(-error) : n == 0;
    if (c->fds.count && conn_is_leased(c) && !c->copied && (end || (!error && hold_len(&c->request.bytes)))) {
        /* What is still to come goes out on another one. */
        int result = swap_rehome_at_once(c);
        return result < 0 ? result : -ESTALE;
    }
    if (error)
        return -error;
    if (c->fds.count == 0)
        return n == 0 ? 0 : conn_lost(c);
    if (conn_is_leased(c))
        conn_bypass(c, REASON_odd_descriptor);
    return CONN_PLAIN;
}

/* An error behind bytes is told by the next call, as the kernel does. */
static ssize_t behind_bytes(struct conn *c, size_t got, ssize_t result)
{
    if (got == 0)
        return result;
    if (result < 0 && result != CONN_PLAIN && result != -EAGAIN && result != -EINTR)
        c->reply.error = (int)-result;
    return (ssize_t)got;
}

static ssize_t recv_piece(struct conn *c, int fd, struct iovec piece, int flags)
{
    struct incoming call = {
        .fd = fd,
        .flags = flags & ~(MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT | MSG_TRUNC),
        .peek = flags & MSG_PEEK,
        .wait = !c->nonblocking && !(flags & MSG_DONTWAIT),
    };
    char bounce[4096];
    bool waitall = flags & MSG_WAITALL && call.wait && !call.peek;

    if (!(flags & MSG_TRUNC) && piece.iov_base)
        return recv_exchange(c, &call, piece.iov_base, piece.iov_len, waitall);
    /* tcp(7): MSG_TRUNC discards instead of copying, and the pointer may be anything. */
    size_t got = 0;
    while (got < piece.iov_len) {
        size_t len = piece.iov_len - got < sizeof bounce ? piece.iov_len - got : sizeof bounce;
        ssize_t n = recv_exchange(c, &call, bounce, len, waitall);
        if (n <= 0)
            return behind_bytes(c, got, n);
        got += (size_t)n;
        call.wait = call.wait && waitall;
        if (call.peek || (size_t)n < len)
            break;
    }
    return (ssize_t)got;
}

/* A peek at several pieces is one peek. */
static ssize_t peek_pieces(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    struct iovec whole = { .iov_len = 0 };

    for (int i = 0; i < n; i++)
        whole.iov_len += iov[i].iov_len;
    if (whole.iov_len > BLOCK_MAX)
        whole.iov_len = BLOCK_MAX;
    whole.iov_base = block_get(whole.iov_len, NULL);
    if (!whole.iov_base)
        return -ENOMEM;
    ssize_t got = wire_receive(c, fd, &whole, 1, flags);
    size_t left = got > 0 ? (size_t)got : 0;
    const char *from = whole.iov_base;
    for (int i = 0; left; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (part)
            memcpy(iov[i].iov_base, from, part);
        from += part;
        left -= part;
    }
    block_put(whole.iov_base, whole.iov_len);
    return got;
}

ssize_t wire_receive(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    ssize_t got = 0;

    if (n > IOV_MAX)
        return CONN_PLAIN;
    while (n && iov->iov_len == 0)
        iov++, n--;
    if (n == 0 && !conn_has_ended(c))
        return CONN_PLAIN;
    if (n > 1 && flags & MSG_PEEK)
        return peek_pieces(c, fd, iov, n, flags);
    while (n && !conn_is_exchange(c) && !conn_has_ended(c)) {
        got = conn_is_observed(c) ? observed_recv(c, fd, iov, n, flags)
                                        : recv_before_request(c, fd, flags);
        if (got != -ESTALE)
            return got;
        if (c->fds.count == 0)
            return conn_lost(c);
    }
    got = 0;
    if (flags & (MSG_OOB | MSG_ERRQUEUE)) {
        conn_forbid_parking(c, REASON_odd_descriptor);
        return CONN_PLAIN;
    }
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len == 0)
            continue;
        ssize_t piece = recv_piece(c, fd, iov[i], flags);
        if (piece < 0)
            return behind_bytes(c, (size_t)got, piece);
        got += piece;
        if ((size_t)piece < iov[i].iov_len || flags & MSG_PEEK)
            break;
        if (!(flags & MSG_WAITALL))
            flags |= MSG_DONTWAIT;
    }
    return got;
}
