/* SPDX-License-Identifier: ISC */
/* fork: what a fork, or a program that is started, does to what the library holds.  The locks are in one list: none
 * is held by another thread at the moment of a fork, and in the child all are free. */
#ifndef HOLDFAST_PRELOAD_FORK_H
#define HOLDFAST_PRELOAD_FORK_H

#include <stdbool.h>

/* In the order in which they are taken.  A thread that is no fork holds one of them at a time, and for a bounded time:
 * `shared_joining` for as long as a broker may take to answer.  scripts/check-layers finds a lock that is not here. */
#define FORK_LOCKS(X)                                                                                      \
    X(conn_arena_lock) X(stall_lock) X(pool_lock) X(private_raising) X(shared_joining) X(tally_adding) X(bell_lock)

/* Not taken before a fork, free in the child: `conn.lock` (conn_after_fork), since its holder may wait for another
 * conn's; `block_lock`, whose owner repairs what was torn (block_after_fork). */
#define FORK_LOCKS_RESET conn.lock block_lock

/* Before another process gets what is not close-on-exec (`all`: whatever the flag says): no socket of ours may come under
 * an fd that two processes have, so a lease that turns out to be broken could not be mended any more.  A LEASED conn
 * gets a connection of its own. */
void fork_end_leases(bool all);

/* Before a fork: half a head that is held goes out, idle connections are left to others, the locks are taken.  Nothing in
 * a vfork child. */
void fork_before(void);

/* After it, in the parent: gives the locks. */
void fork_after(void);

/* In the child of a fork: its copies of what belongs to the parent are given up. */
void fork_repair_child(void);

/* The same, in the child of a fork past libc, which may have changed user and place with it. */
void fork_repair_unseen(void);

/* Another program gets what is not close-on-exec, without a fork that we would see: the connections
 * under such fds are shared with it from now on; `all`: whatever the flag says. */
void fork_spawned(bool all);

#endif
