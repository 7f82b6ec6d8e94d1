/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/observed.h"

#include "preload/conn/path.h"
#include "preload/conn/trial.h"
#include "preload/wire/outgoing.h"

static void follow_server(struct conn *c, const char *bytes, size_t len)
{
    struct hold *partial = &c->reply.bytes;

    if (!conn_head_partly_sent(c))
        hold_clear(&c->request.bytes); /* the time for a replay is over */
    if (hold_len(partial)) {
        if (!hold_append(partial, bytes, len)) {
            exchange_release(&c->x, REASON_no_memory);
            return;
        }
        partial->start += exchange_follow(&c->x, partial->data + partial->start, hold_len(partial));
        if (hold_len(partial) == 0)
            hold_clear(partial);
        return;
    }
    size_t used = exchange_follow(&c->x, bytes, len);
    if (used == len)
        return;
    c->reply.held = HELD_GIVEN;
    if (!hold_append(partial, bytes + used, len - used))
        exchange_release(&c->x, REASON_no_memory);
}

void observed_follow(struct conn *c, const char *bytes, size_t len)
{
    if (c->x.kind == EXCHANGE_OBSERVED)
        follow_server(c, bytes, len);
    outgoing_leave_if_lost(c);
    path_answered(c, exchange_idle(&c->x));
    if (c->trial != TRIAL_NONE)
        trial_look(c);
    if (c->trial == TRIAL_CLOSE && exchange_outstanding(&c->x) == 0)
        trial_await_close(c);
}

void observed_follow_held(struct conn *c)
{
    struct hold held = c->reply.bytes;

    c->reply.bytes = (struct hold){ .data = NULL };
    c->reply.held = HELD_NOTHING;
    observed_follow(c, held.data, held.end);
    hold_clear(&held);
}

void observed_bypass(struct conn *c, enum reason why)
{
    if (!conn_holds_back(c)) {
        conn_bypass(c, why);
        return;
    }
    exchange_release(&c->x, why);
    conn_forbid_parking(c, why);
    conn_drop_first(c);
    if (!conn_head_partly_sent(c))
        hold_clear(&c->request.bytes); /* no replay: so what is held is the client's */
}

enum reason observed_verdict(const struct conn *c)
{
    enum reason why = exchange_verdict(&c->x);

    if (conn_head_partly_sent(c)) /* the server takes what comes next for the rest of it */
        return REASON_request_unfinished;
    if (c->unparkable != REASON_none && (why == REASON_none || c->unparkable != REASON_closed_by_server))
        return c->unparkable;
    if (why != REASON_none) /* also where the server has closed for that reason */
        return why;
    return exchange_idle(&c->x) ? REASON_none : REASON_response_unfinished;
}
