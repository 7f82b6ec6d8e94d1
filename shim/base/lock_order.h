/* SPDX-License-Identifier: ISC */
/* lock_order: the one order of all locks of shim/.  A thread that holds a lock takes none that stands before it in
 * LOCK_ORDER, so no two threads wait for each other.  Besides:
 *  - a second conn's lock is taken by a thread that is alone, or tried without waiting (lock_try);
 *  - a fork takes all that are TAKEN, in this order.
 *
 * Debug builds assert it at each acquisition; elsewhere nothing is compiled.  A signal handler that interrupted a holder
 * is outside of the order, and so is a thread that left a critical section by longjmp. */
#ifndef HOLDFAST_BASE_LOCK_ORDER_H
#define HOLDFAST_BASE_LOCK_ORDER_H

#include <stdbool.h>

/* Each lock once, by name (`conn_lock` is the lock of each struct conn); scripts/check-layers finds one that is missing.
 * TAKEN: a fork takes it before, gives it in the parent and frees it in the child (life/fork.c).
 * FREED: free in the child, whoever held it; its own module repairs or gives up what it guards (conn_after_fork,
 * block_after_fork). */
#define LOCK_ORDER(TAKEN, FREED)                                                                                 \
    FREED(conn_lock)                                                                                              \
    TAKEN(shared_joining) /* held for as long as a broker may take to answer; what comes of it gets private fds */ \
    TAKEN(conn_arena_lock) TAKEN(stall_lock) TAKEN(pool_lock) TAKEN(private_raising)                              \
    TAKEN(tally_adding) TAKEN(bell_lock)                                                                          \
    FREED(block_lock)

#define LOCK_RANK(name) LOCK_##name,
enum lock_rank { LOCK_ORDER(LOCK_RANK, LOCK_RANK) LOCK_RANKS };
#undef LOCK_RANK

struct lock;

#ifdef HOLDFAST_DEBUG

/* Ends the program if this thread must not wait for the lock now. */
void lock_order_wants(const struct lock *lock);

/* It has it; it has not any more. */
void lock_order_has(const struct lock *lock);
void lock_order_gave(const struct lock *lock);

/* Forgets what this thread holds of this rank: in the child of a fork all are free. */
void lock_order_reset(const struct lock *lock);

#else

static inline void lock_order_wants(const struct lock *lock) {}
static inline void lock_order_has(const struct lock *lock) {}
static inline void lock_order_gave(const struct lock *lock) {}
static inline void lock_order_reset(const struct lock *lock) {}

#endif
#endif
