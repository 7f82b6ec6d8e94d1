/* SPDX-License-Identifier: ISC */
/* withheld: what the client has sent and is not on the wire.  Of a locked conn:
 *
 *   LEASED    the beginning of a head: whose connection it goes out on is decided when all of it is there
 *   FRESH     the same, but the request line: that goes out as it comes
 *   both      a head, and a body that is not whole: whether it is adapted is decided when all of it is there
 *   EXCHANGE  the end of the client's sending side: a server that says where its answer ends need not see it
 *
 * A program that waits for an answer meanwhile must not wait for ever, because what it has sent may be no request,
 * or all of one.  So a receive that blocks sends everything first, and a wait (poll, select, epoll) in which nothing
 * happens for WITHHELD_MS does.  What can only be the beginning of an HTTP request stays: no server answers that. */
#ifndef HOLDFAST_PRELOAD_WITHHELD_H
#define HOLDFAST_PRELOAD_WITHHELD_H

#include "preload/conn/conn.h"

enum { WITHHELD_MS = 50 };

/* For how many conns a wait has to look. */
extern atomic_uint withheld_count;
static inline bool withheld_any(void)
{
    return __builtin_expect(atomic_load_explicit(&withheld_count, memory_order_relaxed) != 0, 0);
}

/* The client has sent something just now that is withheld. */
void withheld_begin(struct conn *c);

/* Nothing is any more. */
void withheld_over(struct conn *c);

/* Of c: for longer than WITHHELD_MS? */
bool withheld_due(const struct conn *c);

/* Milliseconds until the first is due, at least 1. */
int withheld_turn_ms(void);

/* Not locked.  Calls `release` for each that is due, locked, with one of its numbers. */
void withheld_each_due(int (*release)(struct conn *c, int fd));

/* In the child of a fork: it waits for nobody's. */
void withheld_after_fork(void);

#endif
