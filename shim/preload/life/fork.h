/* SPDX-License-Identifier: ISC */
/* fork: what a fork, or a program that is started, does to what the library holds.  The locks are
 * those of base/lock_order.h: none that is TAKEN is held by another thread at the moment of a fork; in the child all are free. */
#ifndef HOLDFAST_PRELOAD_FORK_H
#define HOLDFAST_PRELOAD_FORK_H

#include <stdbool.h>

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

/* Before another program begins, here or beside, and before this one ends: what is withheld goes out, since it would come
 * behind what that program sends, or never. */
void fork_settle(void);

/* Another program gets what is not close-on-exec, without a fork that we would see: the connections
 * under such fds are shared with it from now on; `all`: whatever the flag says. */
void fork_spawned(bool all);

#endif
