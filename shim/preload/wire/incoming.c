/* SPDX-License-Identifier: ISC */
/* The kernel must go on telling the truth about readiness, so the shim holds bytes only where more is
 * certain to come: an incomplete head is taken whole; of a complete one that does not fit the client's
 * buffer, the last byte (`tail`) stays in the kernel until the client has got the rest.
 *
 * One thread at a time is inside a real receive call whose bytes will be followed; a second one waits
 * by peeking. */
#define _GNU_SOURCE
#include "preload/wire/incoming.h"

#include "base/block.h"
#include "preload/conn/event.h"
#include "preload/wire/behind.h"
#include "preload/wire/dialect.h"
#include "preload/wire/lookahead.h"
#include "preload/libc/real.h"
#include "preload/wire/outgoing.h"
#include "preload/conn/path.h"
#include "preload/self/self.h"
#include "preload/wire/provisional.h"
#include "preload/conn/stall.h"
#include "preload/conn/swap.h"
#include "preload/conn/trial.h"
#include "preload/conn/withheld.h"
#include "preload/fds/socket.h"
#include "preload/conn/parking.h"
#include "preload/wire/release.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <time.h>

enum {
    ROOMY = 1024, /* a client's buffer that most heads fit */
    TURNS_QUICK = 200, /* before it naps for a millisecond each */
    TURNS_MAX = 3000,
};

size_t incoming_edited(const struct conn *c)
{
    return c->reply.held == HELD_EDITED ? hold_len(&c->reply.bytes) : 0;
}

bool incoming_leaves_queued(const struct conn *c, size_t len)
{
    uint64_t left = exchange_body_left(&c->x);

    return !self_alone() && conn_is_exchange(c) && (left <= len || left == UINT64_MAX);
}

static ssize_t read_alone(struct conn *c, int fd, char *buf, size_t len, int flags)
{
    c->use.reader = conn_self();
    conn_outside_begin(c);
    ssize_t n = real.recv(fd, buf, len, flags);
    conn_outside_end(c);
    c->use.reader = NULL;
    return n;
}

ssize_t incoming_wait(struct conn *c, int fd, int flags)
{
    char byte;

    conn_outside_begin(c);
    ssize_t n = real.recv(fd, &byte, 1, flags | MSG_PEEK);
    conn_outside_end(c);
    return n;
}

/* What a real receive that gave bytes, or an end, means for the call. */
static ssize_t received(struct conn *c, struct incoming *call, ssize_t n, bool peek, bool queued)
{
    if (n > 0)
        stall_over(c, true);
    call->took |= n > 0 && !peek;
    if (n > 0 && !peek && queued)
        c->reply.peeked_unread = (size_t)n;
    return n;
}

/* There is something, and another thread is about to take it. */
static void stand_back(struct conn *c, struct incoming *call)
{
    const struct timespec nap = { 0, 1000000 };

    if (++call->turns > TURNS_MAX) {
        c->use.reader = NULL; /* it does not come back: it left by longjmp */
        return;
    }
    conn_outside_begin(c);
    if (call->turns < TURNS_QUICK)
        sched_yield();
    else
        real.nanosleep(&nap, NULL);
    conn_outside_end(c);
}

/* Discards what the client has got already. */
static void take_out(struct conn *c, int fd, size_t len)
{
    c->reply.undiscarded = socket_discard(fd, len);
    if (c->reply.undiscarded && socket_is_end(-errno)) { /* lost as well */
        c->reply.undiscarded = 0;
        c->reply.kernel_error = errno;
    }
}

/* 0, or -errno. */
static int wait_stalled(struct conn *c, struct incoming *call)
{
    unsigned generation = c->fds.generation;
    enum conn_state state = c->state;

    if (stall_wait(c, call->fd, POLLIN) < 0)
        return -EINTR;
    call->fd = conn_number(c, call->fd);
    return c->fds.generation == generation && c->state == state && c->fds.count ? 0 : -ESTALE;
}

ssize_t incoming_receive(struct conn *c, struct incoming *call, char *buf, size_t len, bool peek)
{
    if (call->wait && c->request.withheld_ms)
        release_wait(c, call->fd);
    int stalled = call->wait && c->waiter.ticket ? wait_stalled(c, call) : 0;
    if (stalled)
        return stalled;
    unsigned generation = c->fds.generation;
    enum conn_state state = c->state;
    bool queued = !peek && incoming_leaves_queued(c, len);
    int flags = call->flags | (call->wait ? 0 : MSG_DONTWAIT) | (peek || queued ? MSG_PEEK : 0);
    bool alone = !c->use.reader || c->use.reader == conn_self();

    if (c->reply.undiscarded)
        take_out(c, call->fd, c->reply.undiscarded);
    if (c->reply.undiscarded)
        return -errno;
    if (c->reply.kernel_error) {
        int error = c->reply.kernel_error;
        c->reply.kernel_error = 0;
        return -error;
    }
    if (!call->wait && alone) {
        ssize_t n = real.recv(call->fd, buf, len, flags);
        call->full = n == (ssize_t)len;
        return n < 0 ? -errno : received(c, call, n, peek, queued);
    }
    ssize_t n = alone ? read_alone(c, call->fd, buf, len, flags) : incoming_wait(c, call->fd, flags);
    int error = errno;
    call->fd = conn_number(c, call->fd);
    if (!alone && n >= 0 && c->use.reader && c->fds.generation == generation)
        stand_back(c, call);
    if (c->fds.generation != generation || c->state != state || (!alone && n >= 0))
        return -ESTALE;
    call->full = n == (ssize_t)len;
    return n < 0 ? -error : received(c, call, n, peek, queued);
}

/* Takes what was only looked at, but for the last byte of a response: that one stays queued until
 * another socket lies under the fd, so that a thread that begins to wait in between is not left on the
 * old one without an event. */
static void discard_peeked(struct conn *c, enum exchange_flow flow)
{
    size_t leave = flow == EXCHANGE_END;

    if (c->reply.peeked_unread > leave && c->fds.count && conn_owns(c, c->fds.numbers[0].fd))
        take_out(c, c->fds.numbers[0].fd, c->reply.peeked_unread - leave);
    c->reply.peeked_unread = c->reply.peeked_unread ? leave : 0;
}

/* The first bytes of a response: are they one to an earlier request? */
static bool is_foreign(struct conn *c, ssize_t n)
{
    return n > 0 && c->reused && !exchange_answered(&c->x) && !hold_len(&c->reply.bytes) &&
           parking_answers_another(c);
}

ssize_t incoming_follow(struct conn *c, struct exchange_reply reply)
{
    bool open = c->fds.count; /* else another thread has closed it */

    discard_peeked(c, reply.flow);
    path_answered(c, reply.flow == EXCHANGE_END);
    if (!c->reused && c->reply.seen < SEEN_BYTES)
        dialect_learn(c);
    if (c->trial != TRIAL_NONE)
        trial_look(c);
    if (c->request.behind.data || c->after.write_shut)
        behind_settle(c);
    if (exchange_verdict(&c->x) == REASON_no_length)
        trial_no_length(c);
    /* Also where copies of the fd are with others: nobody has more to send. */
    if (open && exchange_request_done(&c->x) && exchange_asks_close(&c->x))
        conn_end_sending(c);
    if (c->x.end_when_awaited) /* waits look at it */
        conn_recount(c);
    if (reply.flow == EXCHANGE_BROKEN) {
        c->reply.error = c->reply.broken ? c->reply.error : ECONNRESET;
        c->reply.broken = true;
        if (open) /* who waits for more is told that there is something */
            real.shutdown(c->fds.numbers[0].fd, SHUT_RD);
    }
    if (reply.flow == EXCHANGE_END)
        incoming_end(c);
    return (ssize_t)reply.out;
}

/* A server that said it closes shows the end itself, and what it may send before: libc's business.  But
 * what comes behind a body that was decoded would look like a part of it. */
void incoming_end(struct conn *c)
{
    enum reason why = exchange_verdict(&c->x);

    if (c->trial == TRIAL_CLOSE)
        trial_await_close(c);
    if ((why != REASON_server_closes && why != REASON_server_http10) || exchange_decoded(&c->x)) {
        swap_end(c);
        return;
    }
    discard_peeked(c, EXCHANGE_DATA);
    conn_event(c, EVENT_REASON, why);
    conn_bypass(c, REASON_none);
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
        return incoming_earlier_reply(c);
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
        return incoming_earlier_reply(c);
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
        discard_peeked(c, ends ? EXCHANGE_END : EXCHANGE_DATA);
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

ssize_t incoming_step(struct conn *c, struct incoming *call, char *buf, size_t len, size_t peeked)
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

