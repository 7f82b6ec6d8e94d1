/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/behind.h"

#include "base/block.h"
#include "http/opening.h"
#include "preload/fds/socket.h"
#include "preload/conn/withheld.h"
#include "preload/libc/real.h"
#include "preload/share/evidence.h"
#include "preload/wire/observed.h"
#include "preload/wire/outgoing.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum {
    BEHIND_MAX = 65536,
    ROOM = EXCHANGE_HEAD_MAX + EXCHANGE_RESPONSE_GROWTH,
};

/* EXCHANGE: if the head of the answer has arrived and was not received yet, x learns whether its server still
 * listens. */
static void learn_listens(struct conn *c)
{
    struct exchange ahead = c->x;
    size_t raw = c->reply.held == HELD_RAW ? hold_len(&c->reply.bytes) : 0;
    unsigned status;

    if (!exchange_in_head(&c->x) || c->fds.count == 0 || raw >= EXCHANGE_HEAD_MAX)
        return;
    char *scratch = block_get(ROOM, NULL);
    if (!scratch)
        return;
    if (raw)
        memcpy(scratch, c->reply.bytes.data, raw);
    ssize_t n = real.recv(c->fds.numbers[0].fd, scratch + raw, EXCHANGE_HEAD_MAX - raw, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && socket_is_end(-errno)) /* the kernel tells it once */
        c->reply.kernel_error = errno;
    size_t len = n > 0 ? raw + (size_t)n : 0;
    /* On a reused connection it may be the rest of an earlier answer. */
    bool ours = !c->reused || (len && opening_read(scratch, len, c->x.request.head_method, &status) == OPENING_ANSWER);
    if (len && ours) {
        exchange_server(&ahead, scratch, len);
        exchange_learn_listens(&c->x, exchange_listens(&ahead));
    }
    block_put(scratch, ROOM);
}

/* As the kernel: of a call that has sent a part, the next one tells the error. */
static ssize_t give_part(struct conn *c, size_t accepted, ssize_t error)
{
    if (!accepted)
        return error;
    if (error != -EAGAIN && error != -EINTR && error > -4096)
        c->request.error = (int)-error;
    return (ssize_t)accepted;
}

/* True: nothing is left of them. */
static bool skip(struct outgoing_pieces *from)
{
    for (; from->n && from->skip >= from->iov->iov_len; from->n--)
        from->skip -= from->iov++->iov_len;
    return from->n == 0;
}

/* The server may be told that the client has ended its sending side. */
static void end_sending(struct conn *c)
{
    if (!c->after.write_shut || exchange_listens(&c->x) != EXCHANGE_LISTENS || c->unparkable == REASON_half_closed)
        return;
    conn_forbid_parking(c, REASON_half_closed);
    real.shutdown(c->fds.numbers[0].fd, SHUT_WR);
}

void behind_settle(struct conn *c)
{
    struct hold *held = &c->request.behind;

    while (hold_len(held) && c->fds.count) {
        const char *bytes = held->data + held->start;
        struct exchange_step step = exchange_client(&c->x, bytes, hold_len(held));
        if (step.action == EXCHANGE_HOLD)
            return;
        int result = step.action == EXCHANGE_PASS ? outgoing_all(c, c->fds.numbers[0].fd, bytes, step.take) : 0;
        outgoing_keep(c, bytes, result == 0 && step.action == EXCHANGE_PASS ? step.take : 0);
        held->start = result < 0 ? held->end : held->start + step.take;
        if (result < 0 && result != -EAGAIN)
            c->request.error = -result;
    }
    hold_clear(held);
    if (c->fds.count)
        end_sending(c);
}

/* Moves as much as there is room for into `behind`. */
static size_t take_behind(struct conn *c, struct outgoing_pieces *from)
{
    size_t taken = 0;

    while (!skip(from) && hold_len(&c->request.behind) < BEHIND_MAX) {
        size_t room = BEHIND_MAX - hold_len(&c->request.behind), len = from->iov->iov_len - from->skip;
        len = len < room ? len : room;
        if (!hold_append(&c->request.behind, (const char *)from->iov->iov_base + from->skip, len))
            break;
        from->skip += len;
        taken += len;
    }
    return taken;
}

/* There is no room: as long as the head of the answer has not come, it is as with a full socket.  The kernel would
 * not say that it can be written to; a short rest keeps a program that believes it from spinning.  False: closed
 * or changed meanwhile. */
static bool wait_for_head(struct conn *c, bool may_wait)
{
    enum { TURN_MS = 1000, REST_MS = 1 };
    struct pollfd wait = { .fd = c->fds.numbers[0].fd, .events = POLLIN };
    unsigned generation = c->fds.generation;

    conn_outside_begin(c);
    real.poll(&wait, 1, may_wait ? TURN_MS : REST_MS);
    conn_outside_end(c);
    return c->fds.generation == generation && c->fds.count && conn_is_exchange(c);
}

/* What may not go out yet, in its order.  As behind_send. */
static ssize_t send_later(struct conn *c, struct outgoing_pieces from, int flags)
{
    bool may_wait = !c->nonblocking && !(flags & MSG_DONTWAIT);
    size_t accepted = from.skip, before = accepted;

    for (;;) {
        accepted += take_behind(c, &from);
        learn_listens(c);
        behind_settle(c);
        if (skip(&from))
            return (ssize_t)accepted;
        if (hold_len(&c->request.behind) < BEHIND_MAX / 2)
            continue;
        if ((!may_wait && accepted > before) || !wait_for_head(c, may_wait))
            return (ssize_t)accepted;
        if (!may_wait)
            return give_part(c, accepted, -EAGAIN);
    }
}

/* Bytes that do not go out: of a send of nothing only the error is told. */
static struct exchange_step drop(struct outgoing_pieces *from, struct outgoing_batch *batch)
{
    struct exchange_step step = batch->n == 0 ? batch->stop : (struct exchange_step){ .action = EXCHANGE_PASS };

    if (step.action != EXCHANGE_PASS)
        batch->iov[batch->n++] = (struct iovec){ (char *)from->iov->iov_base + from->skip, 0 };
    return step;
}

/* The request is complete, and the library has ended the sending side, which is none of the client's business: directly
 * the server would have read on, or not: after a reset the kernel says what it is. */
static bool sends_past_end(const struct conn *c)
{
    return c->after.end_asked && !c->after.write_shut && c->unparkable != REASON_half_closed &&
           !c->reply.kernel_error && !(c->fds.count && socket_was_reset(c->fds.numbers[0].fd));
}

/* One real call.  Returns how much of the pieces is dealt with, CONN_PLAIN if none of them may go out yet, or
 * -errno; *whole: all that was to go. */
static ssize_t send_batch(struct conn *c, int fd, struct outgoing_pieces from, int flags, bool *whole)
{
    struct outgoing_batch batch;
    unsigned generation = c->fds.generation;
    int quiet = c->reused || c->reply.kernel_error ? MSG_NOSIGNAL : 0, error;

    outgoing_begin(&batch);
    outgoing_collect(c, from, &batch);
    /* shutdown(2): the kernel says what it is. */
    bool shut = c->after.read_shut && c->unparkable == REASON_half_closed;
    if (batch.n == 0 && batch.stop.action == EXCHANGE_HOLD && !shut)
        return CONN_PLAIN;
    struct exchange_step dropped = drop(&from, &batch);
    ssize_t sent = sends_past_end(c) ? (ssize_t)batch.len
                                     : outgoing_send(c, fd, batch.iov, batch.n,
                                                     flags | quiet | (batch.more ? MSG_MORE : 0), &error);
    if (sent < 0 && c->fds.generation == generation && outgoing_mend(c, error))
        return send_batch(c, conn_number(c, fd), from, flags, whole);
    if (sent < 0 && c->reply.kernel_error) { /* the kernel has told it to a look ahead, and now says EPIPE */
        error = c->reply.kernel_error;
        c->reply.kernel_error = 0;
    }
    if (sent < 0)
        return error == EPIPE && quiet ? CONN_SIGPIPE : -error;
    *whole = (size_t)sent == batch.len;
    if (c->fds.generation != generation)
        return dropped.action == EXCHANGE_PASS ? sent : (ssize_t)dropped.take;
    if (dropped.action != EXCHANGE_PASS) {
        exchange_client(&c->x, batch.iov[0].iov_base, dropped.take);
        return (ssize_t)dropped.take;
    }
    outgoing_sent(c, batch.iov, (size_t)sent);
    return sent;
}

ssize_t behind_send(struct conn *c, int fd, struct outgoing_pieces from, int flags)
{
    struct outgoing_pieces first = from;
    size_t accepted = from.skip;
    bool may_wait = conn_is_exchange(c) && !c->nonblocking && !(flags & MSG_DONTWAIT), whole = true;

    if (flags & MSG_OOB && conn_is_observed(c)) {
        observed_bypass(c, REASON_odd_descriptor);
        return accepted ? (ssize_t)accepted : CONN_PLAIN;
    }
    if (c->x.end_when_awaited) { /* it goes on */
        c->x.end_when_awaited = false;
        conn_recount(c);
    }
    while (!skip(&from)) {
        ssize_t sent = hold_len(&c->request.behind) ? CONN_PLAIN : send_batch(c, fd, from, flags, &whole);
        if (sent == CONN_PLAIN)
            return send_later(c, (struct outgoing_pieces){ first.iov, first.n, accepted }, flags);
        if (sent < 0)
            return give_part(c, accepted, sent);
        accepted += (size_t)sent;
        from.skip += (size_t)sent;
        if (c->fds.count == 0)
            break; /* closed by another thread, or left to libc */
        fd = conn_number(c, fd);
        if (exchange_asks_close(&c->x)) /* the response came first */
            conn_ask_end(c, exchange_over_perhaps(&c->x));
        if ((!whole && !may_wait) || !conn_is_asked(c)) /* an observed client gets what the kernel has accepted */
            break;
    }
    return (ssize_t)accepted;
}

ssize_t behind_send_odd(struct conn *c, size_t total)
{
    if (exchange_listens(&c->x) == EXCHANGE_LISTENS_PERHAPS && total && exchange_request_done(&c->x))
        learn_listens(c);
    bool deaf = exchange_listens(&c->x) == EXCHANGE_DEAF && exchange_request_done(&c->x);
    return sends_past_end(c) || (deaf && total) ? (ssize_t)total : CONN_PLAIN;
}

void behind_close(struct conn *c, int fd)
{
    struct hold *held = &c->request.behind;

    if (hold_len(held) && !c->after.write_shut && exchange_may_follow(&c->x, held->data + held->start, hold_len(held)))
        real.send(fd, held->data + held->start, hold_len(held), MSG_NOSIGNAL | MSG_DONTWAIT);
    hold_clear(held);
}

void behind_end(struct conn *c)
{
    if (exchange_listens(&c->x) == EXCHANGE_LISTENS_PERHAPS && !evidence_has(&c->to, EVIDENCE_REUSED))
        withheld_begin(c);
    else
        behind_settle(c);
}
