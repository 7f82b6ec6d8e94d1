/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/departure.h"

#include "preload/life/fork.h"
#include "preload/life/handover.h"
#include "preload/life/reach.h"
#include "preload/life/room.h"
#include "preload/share/handdown.h"
#include "preload/share/shared.h"
#include "preload/share/tracing.h"

#include <errno.h>

size_t departure_longest(const char *file)
{
    return shared_may_leave() ? handdown_longest(file) : 1;
}

const char *departure_find(const char *file, char *name)
{
    int saved = errno;
    const char *path = shared_may_leave() ? handdown_find(file, name) : NULL;

    errno = saved;
    return path;
}

/* A shell gets `environ`.  Where other threads can read that, no entry is added (lend.h), and nothing can be handed over:
 * the exchange, if there is one, stays here. */
static bool can_hand_over(const struct departure *d)
{
    return d->way != DEPARTURE_SHELL || lend_can_add();
}

/* The queues last: they are inheritable for as short as can be. */
void departure_begin(struct departure *d)
{
    int saved = errno;

    fork_settle();
    fork_end_leases(d->rearranged);
    d->room = room_mark();
    d->reached = reach_env(d->env);
    d->env = d->reached;
    if (can_hand_over(d))
        d->env = handover_pack(d->file, d->reached, d->rearranged);
    if (d->way == DEPARTURE_SHELL)
        fork_spawned(false);
    if (d->named)
        tracing_exec(d->named, d->reached);
    if (d->way == DEPARTURE_EXEC)
        handover_inherit(d->env, d->reached);
    else
        handover_pass(d->env, d->reached);
    if (d->way == DEPARTURE_SHELL)
        lend_begin(&d->lend, d->env);
    d->left = shared_leave(d->program, d->reached);
    errno = saved;
}

void departure_end(struct departure *d)
{
    int saved = errno;

    shared_stay(d->left);
    if (d->way == DEPARTURE_SHELL)
        lend_end(&d->lend);
    handover_done(d->env, d->reached);
    room_return(d->room);
    errno = saved;
}
