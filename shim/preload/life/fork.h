/* fork: the locks of the library across a fork, all in one list: none is held by another thread at the moment of
 * a fork, and in the child all are free. */
#ifndef HOLDFAST_PRELOAD_FORK_H
#define HOLDFAST_PRELOAD_FORK_H

/* In the order in which they are taken.  A thread that is no fork holds one of them at a time, and for a bounded time:
 * `shared_joining` for as long as a broker may take to answer.  scripts/check-layers finds a lock that is not here. */
#define FORK_LOCKS(X)                                                                                      \
    X(conn_arena_lock) X(stall_lock) X(pool_lock) X(private_raising) X(shared_joining) X(tally_adding)

/* Not taken before a fork, free in the child: `conn.lock` (conn_after_fork), since its holder may wait for another
 * conn's; `block_lock`, whose owner repairs what was torn (block_after_fork). */
#define FORK_LOCKS_RESET conn.lock block_lock

/* Before a fork; after it, in the parent and in the child. */
void fork_locks_take(void);
void fork_locks_give(void);
void fork_locks_reset(void);

#endif
