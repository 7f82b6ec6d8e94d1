/* SPDX-License-Identifier: ISC */
/* The kernel must go on telling the truth about readiness, so the shim holds bytes only where more is
 * certain to come: an incomplete head is taken whole; of a complete one that does not fit the client's
 * buffer, the last byte (`tail`) stays in the kernel until the client has got the rest.
 *
 * One thread at a time is inside a real receive call whose bytes will be followed; a second one waits
 * by peeking. */
#define _GNU_SOURCE
#include "preload/wire/incoming.h"

#include "preload/conn/event.h"
#include "preload/wire/behind.h"
#include "preload/wire/dialect.h"
#include "preload/libc/real.h"
#include "preload/conn/path.h"
#include "preload/self/self.h"
#include "preload/conn/stall.h"
#include "preload/conn/swap.h"
#include "preload/conn/trial.h"
#include "preload/conn/withheld.h"
#include "preload/fds/socket.h"
#include "preload/wire/release.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

enum {
    TURNS_QUICK = 200, /* before it naps for a millisecond each */
    TURNS_MAX = 3000,
};

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

/* 0, or -errno.  Whoever receives meanwhile, another thread or a signal handler of this one, ends the waiter. */
static int wait_stalled(struct conn *c, struct incoming *call)
{
    unsigned generation = c->fds.generation;
    uint64_t ticket = c->waiter.ticket;
    enum conn_state state = c->state;

    if (stall_wait(c, call->fd, POLLIN) < 0)
        return -EINTR;
    call->fd = conn_number(c, call->fd);
    bool same = c->fds.generation == generation && c->state == state && c->waiter.ticket == ticket;
    return same && c->fds.count ? 0 : -ESTALE;
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

void incoming_discard(struct conn *c, enum exchange_flow flow)
{
    size_t leave = flow == EXCHANGE_END;

    if (c->reply.peeked_unread > leave && c->fds.count && conn_owns(c, c->fds.numbers[0].fd))
        take_out(c, c->fds.numbers[0].fd, c->reply.peeked_unread - leave);
    c->reply.peeked_unread = c->reply.peeked_unread ? leave : 0;
}

ssize_t incoming_follow(struct conn *c, struct exchange_reply reply)
{
    bool open = c->fds.count; /* else another thread has closed it */

    incoming_discard(c, reply.flow);
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
        conn_ask_end(c, exchange_over_perhaps(&c->x));
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
    incoming_discard(c, EXCHANGE_DATA);
    conn_event(c, EVENT_REASON, why);
    conn_bypass(c, REASON_none);
}

void incoming_awaits_end(struct conn *c)
{
    if (!c->x.end_when_awaited || c->fds.count == 0 || !exchange_awaits_end(&c->x))
        return;
    conn_end_sending(c);
}

void incoming_tell_later(struct conn *c, int error)
{
    if (conn_is_exchange(c))
        c->reply.error = error;
    else
        c->reply.kernel_error = error;
}
