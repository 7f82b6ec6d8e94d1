/* SPDX-License-Identifier: ISC */
/* bell: threads that wait in poll or select for a number under which another thread puts another socket.
 *
 * The kernel registers such a wait with the sockets that lay under the numbers when it began.  Woken, it looks at the
 * numbers anew, but it goes to sleep again on the old ones: what the new socket brings wakes nobody
 * (tests/assume/poll_swap.c).  So in a process with threads a wait for tracked numbers also waits for the bell, a socket of
 * ours that becomes readable when something was put under one of them, and is begun again then.
 *
 * There are two bells, which take turns: who begins to wait while the threads that were woken by one of them have not
 * left it yet waits for the other.  The one that leaves last makes it silent.
 *
 * Not for epoll: there registrations are moved (fds/registrations.h). */
#ifndef HOLDFAST_PRELOAD_BELL_H
#define HOLDFAST_PRELOAD_BELL_H

#include "base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Held while a bell is made, rung or silenced. */
extern struct lock bell_lock;

/* The calling thread is about to wait.  bell_end must follow, if need be when the thread ends. */
void bell_begin(void);

/* Names a conn that it waits for: the counter of who waits for that.  What lies under its numbers is to be looked at after
 * this. */
void bell_watch(atomic_uint *waiting);

/* Returns the number that it has to wait for besides, until that can be read from; -1: there is none. */
int bell_listen(void);

/* The wait is over, or the thread is.  True: a bell was rung, perhaps for another wait: wait again, what
 * was found may not be true of what lies there now. */
bool bell_end(void);

/* Another socket lies under the numbers of the conn with that counter. */
void bell_ring(const atomic_uint *waiting);

/* In the child of a fork: nobody waits. */
void bell_after_fork(void);

#endif
