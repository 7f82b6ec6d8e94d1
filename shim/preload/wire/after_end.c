/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/after_end.h"

#include "preload/conn/deferred.h"
#include "preload/conn/under.h"
#include "preload/wire/endwait.h"

ssize_t after_end_send(struct conn *c, size_t total)
{
    if (c->after.own_end)
        return CONN_PLAIN;
    if (c->after.reset == RESET_PENDING)
        under_reset_told(c);
    if (c->after.reset != RESET_NOT || c->after.write_shut)
        return CONN_SIGPIPE;
    if (total) {
        under_reset(c);
        deferred_apply(c);
    }
    return (ssize_t)total;
}

bool after_end_has_come(struct conn *c)
{
    return !conn_head_partly_sent(c) && !c->after.read_shut && c->unparkable == REASON_none && endwait_settle(c) &&
           conn_has_ended(c);
}
