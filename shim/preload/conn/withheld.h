/* SPDX-License-Identifier: ISC */
/* withheld: what the client has sent, and the library has not.  By the state of the conn:
 *
 *   LEASED    the beginning of a head: whose connection it goes out on is decided when all of it is there
 *   FRESH     the same, but the request line: that goes out as it comes
 *   both      a head, and a body that is not whole: whether it is adapted is decided when all of it is there
 *   EXCHANGE  the end of the client's sending side: a server that says where its answer ends need not see it
 *
 * A program that waits for an answer meanwhile must not wait for ever, because what it has sent may be no request,
 * or all of one; and what it has sent must arrive when it sleeps, waits for something else or ends before it goes on.  So a
 * receive that blocks sends everything first, as a sleep, a read of something else that has nothing, an end of the program
 * or another program in its place do; and a wait (poll, select, epoll) in which nothing happens for WITHHELD_MS.  What can
 * only be the beginning of an HTTP request stays while the program goes on: no server answers that. */
#ifndef HOLDFAST_PRELOAD_WITHHELD_H
#define HOLDFAST_PRELOAD_WITHHELD_H

#include "preload/conn/conn.h"

enum { WITHHELD_MS = 50 };

/* How many conns have something withheld. */
extern atomic_uint withheld_count;
static inline bool withheld_any(void)
{
    return __builtin_expect(atomic_load_explicit(&withheld_count, memory_order_relaxed) != 0, 0);
}

/* Locked.  The client has just sent something that is withheld: the time of c counts from now. */
void withheld_begin(struct conn *c);

/* Locked.  Nothing of c is withheld any more. */
void withheld_over(struct conn *c);

/* Locked.  Is something of c withheld, and nothing was sent by the client for WITHHELD_MS? */
bool withheld_due(const struct conn *c);

/* Not locked.  Milliseconds until the first conn is due, from 1 to WITHHELD_MS. */
int withheld_turn_ms(void);

/* No conn is locked.  Calls `release` for each conn that is due, locked, with one of its numbers. */
void withheld_each_due(int (*release)(struct conn *c, int fd));

/* No conn is locked.  The same for all that have something withheld. */
void withheld_each(int (*release)(struct conn *c, int fd));

/* In the child of a fork: forgets what the parent has withheld. */
void withheld_after_fork(void);

#endif
