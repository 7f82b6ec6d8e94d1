/* SPDX-License-Identifier: ISC */
/* What the end of a connection means, or an answer that is not ours: a replay, an end, an error. */
#define _GNU_SOURCE
#include "preload/wire/incoming.h"

#include "preload/conn/event.h"
#include "preload/wire/dialect.h"
#include "preload/conn/parking.h"
#include "preload/wire/outgoing.h"
#include "preload/conn/path.h"
#include "preload/libc/real.h"
#include "preload/wire/provisional.h"
#include "preload/conn/swap.h"
#include "preload/conn/under.h"
#include "preload/conn/trial.h"
#include "preload/fds/socket.h"

#include <errno.h>

int incoming_replay(struct conn *c)
{
    if (c->reply.seen >= SEEN_BYTES || hold_len(&c->reply.bytes)) /* the server had begun to answer */
        return -ENOTSUP;
    int result = outgoing_replay(c);

    if (result == 0)
        conn_saw(c, SEEN_READABLE);
    return result;
}

/* Both sides have ended, and the client is to see one: poll would say POLLHUP. */
static void show_end(struct conn *c)
{
    parking_remember_name(c);
    conn_set_state(c, CONN_ENDED);
    under_end(c, REASON_closed_by_server);
    hold_clear(&c->request.bytes);
}

ssize_t incoming_at_end(struct conn *c, ssize_t n)
{
    if (c->reply.first && provisional_is_over(n) && provisional_fall_back(c) == 0)
        return -ESTALE;
    if (!socket_is_end(n) && !path_is_broken(c, (int)-n))
        return n;
    bool observed = conn_is_observed(c);
    int result = observed && exchange_answered(&c->x) ? -ENOTSUP : incoming_replay(c);
    if (result == -ENOTSUP && !observed)
        result = dialect_hung_up(c);
    if (result == 0)
        return -ESTALE;
    if (result != -ENOTSUP)
        n = result;
    if (c->reply.held == HELD_RAW && hold_len(&c->reply.bytes)) {
        /* Half a head, and no more will come: the client gets it as it is, then the end. */
        c->reply.held = HELD_FOR_CLIENT;
        c->reply.error = (int)-n;
        if (observed) {
            hold_clear(&c->request.bytes); /* the time for a replay is over */
            return -ESTALE;
        }
        exchange_release(&c->x, REASON_closed_by_server);
        conn_event(c, EVENT_REASON, REASON_closed_by_server);
        return -ESTALE;
    }
    if (n == -ECONNRESET && exchange_over_perhaps(&c->x)) /* directly the server had closed before */
        n = 0;
    trial_ended(c);
    if (observed && n == 0)
        trial_await_close(c);
    if (c->unparkable == REASON_none) {
        enum reason why = exchange_verdict(&c->x);
        if (!observed) /* its close tells */
            conn_event(c, EVENT_REASON, why != REASON_none ? why : REASON_closed_by_server);
        conn_forbid_parking(c, REASON_closed_by_server);
    }
    if (exchange_cut_short(&c->x) && !c->after.read_shut) {
        exchange_release(&c->x, REASON_closed_by_server); /* reported once, as the kernel does */
        return n < 0 ? n : -ECONNRESET;
    }
    if (n == 0 && c->after.end_asked && !c->copied && c->fds.count)
        show_end(c);
    return n;
}
