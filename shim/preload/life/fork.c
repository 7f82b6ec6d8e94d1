/* SPDX-License-Identifier: ISC */
#include "preload/life/fork.h"

#include "base/block.h"
#include "base/lock.h"
#include "base/stats.h"
#include "pool/pool.h"
#include "preload/conn/event.h"
#include "preload/fds/bell.h"
#include "preload/conn/conn.h"
#include "preload/conn/deferred.h"
#include "preload/conn/stall.h"
#include "preload/conn/swap.h"
#include "preload/fds/private.h"
#include "preload/fds/spare.h"
#include "preload/libc/streams.h"
#include "preload/life/user.h"
#include "preload/self/identity.h"
#include "preload/self/self.h"
#include "preload/share/idle.h"
#include "preload/share/shared.h"
#include "preload/share/tally.h"
#include "preload/wire/closing.h"
#include "preload/conn/withheld.h"
#include "preload/conn/parking.h"

static struct lock *const locks[] = {
#define TAKEN(name) &name,
#define FREED(name)
    LOCK_ORDER(TAKEN, FREED)
#undef TAKEN
#undef FREED
};

enum { COUNT = sizeof locks / sizeof *locks };

/* Which ones the forking thread took: it may hold one already, if it forks in a signal handler. */
static __thread bool taken[COUNT];

static void locks_take(void)
{
    streams_lock();
    for (int i = 0; i < COUNT; i++)
        taken[i] = lock_take(locks[i]);
}

static void locks_give(void)
{
    for (int i = COUNT; i-- > 0;) {
        if (taken[i])
            lock_give(locks[i]);
        taken[i] = false;
    }
    streams_unlock();
}

static void locks_reset(void)
{
    for (int i = 0; i < COUNT; i++) {
        lock_init(locks[i]);
        taken[i] = false;
    }
    streams_reset();
}

static bool holds_half_head(const struct conn *c)
{
    return (c->state == CONN_FRESH || conn_is_leased(c)) && hold_len(&c->request.bytes);
}

/* Half a head that is held would be sent by both sides of a fork, or by neither: it goes out now, as it is.
 * Whether it is half is asked again under the lock: another thread may just have been given the rest. */
static void settle(struct conn *c)
{
    user_settle_spare(c);
    if (!holds_half_head(c) || !c->fds.count)
        return;
    int fd = c->fds.numbers[0].fd;
    struct conn *entered = conn_enter(fd, NEED_ALL);
    if (!entered)
        return;
    if (holds_half_head(entered))
        closing_leave_alone(entered, fd, REASON_crossed_fork);
    conn_leave(entered);
}

static bool is_inherited(const struct conn *c)
{
    for (int i = 0; i < c->fds.count; i++)
        if (!c->fds.numbers[i].cloexec)
            return true;
    return false;
}

static void inherited(struct conn *c)
{
    if (is_inherited(c))
        parking_crossed_fork(c);
}

static void end_lease(struct conn *c)
{
    struct conn *entered = conn_is_leased(c) && c->fds.count ? conn_enter(c->fds.numbers[0].fd, NEED_ALL) : NULL;

    if (!entered)
        return;
    if (conn_is_leased(entered) && !entered->copied && !entered->use.reconnecting &&
        swap_rehome_at_once(entered) == 0)
        conn_event(entered, EVENT_REASON, REASON_crossed_fork);
    conn_leave(entered);
}

static void end_lease_inherited(struct conn *c)
{
    if (is_inherited(c))
        end_lease(c);
}

void fork_end_leases(bool all)
{
    if (self.active && self_is_ours())
        conn_each(all ? end_lease : end_lease_inherited);
}

void fork_settle(void)
{
    if (!self.active || !self_is_ours())
        return;
    deferred_apply_all();
    conn_each(settle);
}

void fork_spawned(bool all)
{
    if (!self.active || !self_is_ours())
        return;
    fork_settle();
    self.forked = true;
    conn_each(all ? parking_crossed_fork : inherited);
}

/* Before a fork: others hold these locks for moments only, so that the child finds everything in order. */
void fork_before(void)
{
    if (!self_is_ours()) /* a vfork child forks */
        return;
    deferred_apply_all();
    shared_give_all();
    conn_each(settle);
    fork_end_leases(true);
    locks_take();
}

void fork_after(void)
{
    if (!self_is_ours())
        return;
    locks_give();
    conn_each(parking_crossed_fork);
    self.forked = true;
}

void fork_repair_child(void)
{
    vfork_own();
    block_after_fork();
    locks_reset();
    conn_after_fork();
    bell_after_fork();
    stall_after_fork();
    withheld_after_fork();
    stats_reset();
    pool_abandon(idle_close_copy);
    spare_abandon();
    conn_each(parking_crossed_fork_child);
    self.forked = true;
    if (identity_changes && !self.has_left && identity_has_left(true))
        user_leave_home();
}

void fork_repair_unseen(void)
{
    identity_reborn();
    fork_repair_child();
}
