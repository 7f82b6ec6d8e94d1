/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/departure.h"

#include "preload/life/fork.h"
#include "preload/life/handover.h"
#include "preload/life/reach.h"
#include "preload/share/handdown.h"
#include "preload/share/shared.h"
#include "preload/share/tracing.h"

#include <errno.h>

size_t departure_entries(char *const *env)
{
    return handover_entries(env);
}

size_t departure_text(char *const *env)
{
    return reach_text(env);
}

const char *departure_find(const char *file, char room[PATH_MAX])
{
    int saved = errno;
    const char *path = shared_may_leave() ? handdown_find(file, room) : NULL;

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

    fork_end_leases(d->rearranged);
    d->reached = reach_env(d->env, d->rooms[0], d->text);
    d->env = d->reached;
    if (can_hand_over(d))
        d->env = handover_pack(d->file, d->reached, d->rooms[1], d->rearranged);
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
    errno = saved;
}
