/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/closing.h"

#include "base/block.h"
#include "preload/conn/event.h"
#include "preload/conn/deferred.h"
#include "preload/wire/behind.h"
#include "preload/wire/observed.h"
#include "preload/conn/path.h"
#include "preload/conn/under.h"
#include "preload/fds/private.h"
#include "preload/libc/real.h"
#include "preload/wire/recv.h"
#include "preload/wire/release.h"
#include "preload/share/tracing.h"
#include "preload/conn/swap.h"
#include "preload/conn/trial.h"
#include "preload/conn/parking.h"

#include <errno.h>

/* A socket that was never connected may go back to where it came from. */
static void close_new(struct conn *c, int fd)
{
    registrations_drop(&c->registrations, fd);
    if (c->fds.private_fd >= 0 && !c->copied)
        parking_give_own(c, c->fds.private_fd);
    c->fds.private_fd = -1;
}

/* An idle connection that was not used through us may have been used past us: it does not go back. */
static void close_leased(struct conn *c, int fd)
{
    conn_event(c, EVENT_REASON, REASON_unused);
    if (hold_len(&c->request.bytes) && !c->copied)
        release_held(c, fd);
}

/* The end-of-file socket lives on, and so does the connection: they would go on firing. */
static void close_ended(struct conn *c, int fd)
{
    registrations_drop(&c->registrations, fd);
    if (c->state == CONN_ENDED_UNSWAPPED && c->fds.private_fd >= 0)
        parking_park(c, true);
    conn_deferred_over(c);
}

/* The client closes in the middle of a response: takes what has already arrived, and only a little of it.  True: that
 * completed the response, and the state is ENDED. */
static bool drain(struct conn *c, int fd)
{
    enum { DRAIN_MAX = 65536 };
    struct incoming call = { .fd = fd };
    size_t drained = 0;
    char *scratch = block_get(DRAIN_MAX, NULL);

    while (scratch && conn_is_exchange(c) && c->fds.count && drained < DRAIN_MAX) {
        ssize_t n = recv_step(c, &call, scratch, DRAIN_MAX, 0);
        if (n <= 0 && n != -ESTALE)
            break;
        drained += n > 0 ? (size_t)n : 1;
    }
    if (scratch)
        block_put(scratch, DRAIN_MAX);
    return conn_has_ended(c);
}

static void close_exchange(struct conn *c, int fd)
{
    enum reason why = c->unparkable;
    bool pure = !c->copied && !c->use.inside && why == REASON_none;

    if (pure && exchange_request_done(&c->x) && exchange_verdict(&c->x) == REASON_none &&
        drain(c, fd)) {
        close_ended(c, fd);
        return;
    }
    if (!c->copied) /* else the other one goes on with it */
        behind_close(c, fd);
    if (c->use.inside || atomic_load(&c->polled)) /* who still waits for the response is to find its end */
        closing_ask_end(c);
    if (why == REASON_none)
        why = exchange_verdict(&c->x) != REASON_none ? exchange_verdict(&c->x) : REASON_response_unfinished;
    if (why != REASON_closed_by_server) /* that was noted when it was seen */
        conn_event(c, EVENT_REASON, why);
}

/* Between two exchanges a client's close is a park. */
static void close_observed(struct conn *c, int fd)
{
    enum reason why = c->use.inside ? REASON_busy_thread : observed_verdict(c);

    if (why == REASON_none)
        why = trial_verdict(c);
    if (why == REASON_none) {
        parking_remember_name(c);
        if (c->fds.private_fd < 0)
            c->fds.private_fd = private_dup(fd);
        why = c->fds.private_fd < 0 ? REASON_no_private_fd : REASON_none;
    }
    if (why != REASON_none) {
        conn_event(c, EVENT_REASON, why);
        return;
    }
    registrations_drop(&c->registrations, fd);
    parking_park(c, true);
}

/* A connection is closed that carried no request: was it ever one? */
static void trace_unused(const struct conn *c)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    if (c->fds.count && real.getpeername(c->fds.numbers[0].fd, (struct sockaddr *)&peer, &len) != 0 &&
        errno == ENOTCONN)
        conn_event(c, EVENT_FAILED, REASON_none);
}

void closing_number(struct conn *c, int fd)
{
    int saved = errno;

    if (c->fds.count > 1) {
        registrations_move(&c->registrations, fd, c->fds.numbers[c->fds.numbers[0].fd == fd].fd);
        return;
    }
    if (c->state == CONN_LEASED_UNREGISTERED) { /* it never got into the set */
        conn_deferred_over(c);
        c->registrations.count = 0;
    }
    switch (c->state) {
    case CONN_NEW_UNREADY:
    case CONN_NEW:
    case CONN_NEW_TOUCHED:
        close_new(c, fd);
        break;
    case CONN_FRESH:
        if (tracing_on())
            trace_unused(c);
        if (hold_len(&c->request.bytes))
            release_held(c, fd);
        break;
    case CONN_LEASED_UNREGISTERED:
    case CONN_LEASED:
        close_leased(c, fd);
        break;
    case CONN_EXCHANGE_PARTLY_SENT:
    case CONN_EXCHANGE:
        close_exchange(c, fd);
        break;
    case CONN_OBSERVED_PARTLY_SENT:
    case CONN_OBSERVED:
        close_observed(c, fd);
        break;
    case CONN_ENDED_UNSWAPPED:
    case CONN_ENDED:
        close_ended(c, fd);
        break;
    case CONN_SECURED:
    case CONN_FREE:
    case CONN_STATES:
        break;
    }
    /* What was sent is to arrive. */
    if (c->fds.private_fd >= 0 && !conn_has_ended(c) && !exchange_answered(&c->x))
        path_unguard(c);
    if (c->trial != TRIAL_NONE)
        trial_given_up(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    errno = saved;
}

void closing_gone(struct conn *c, int fd)
{
    conn_drop_fd(c, fd);
    c->fds.closed = c->fds.count == 0;
}

void closing_leave_alone(struct conn *c, int fd, enum reason why)
{
    int saved = errno;

    conn_wait_reconnected(c); /* what comes there is what is left alone */
    bool holds = c->state == CONN_FRESH || conn_is_leased(c), followed = conn_is_exchange(c) || conn_is_secured(c);

    if (conn_has_ended(c) || c->fds.count == 0)
        return;
    if (c->idle.secured && conn_is_leased(c) && !c->copied) /* TLS is spoken on it, and not by this client */
        swap_rehome_at_once(c);
    if (followed || (holds && release_held(c, fd) != 0))
        conn_forbid_parking(c, why);
    else if (conn_is_observed(c))
        observed_bypass(c, why);
    else
        conn_bypass(c, why);
    errno = saved;
}

void closing_ask_end(struct conn *c)
{
    if (conn_is_exchange(c) && c->fds.count && exchange_request_done(&c->x) && !conn_head_partly_sent(c))
        conn_end_sending(c);
}

void closing_share(struct conn *c, int fd, enum reason why)
{
    closing_leave_alone(c, fd, why);
    closing_ask_end(c);
    path_unguard(c);
    if (c->state == CONN_ENDED && !c->copied)
        under_end_of_its_own(c);
    c->copied = true;
}
