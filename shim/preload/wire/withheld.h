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

/* The client has sent something just now that is withheld; nothing is any more. */
void withheld_begin(struct conn *c);
void withheld_over(struct conn *c);

/* FRESH, LEASED: all of it, as it is: for a close, a half-close, fdopen, or because it is no request.  A LEASED
 * conn is re-homed first.  0 or -errno. */
int withheld_flush(struct conn *c, int fd);

/* The client waits for an answer: sends what is withheld.  FRESH, LEASED: as far as it can still be adapted
 * afterwards; else libc alone has the socket then.  0 or -errno. */
int withheld_release(struct conn *c, int fd);

/* Before a receive that blocks: waits until there is something, or what is withheld is due, and then releases it. */
void withheld_wait(struct conn *c, int fd);

/* Of c: for longer than WITHHELD_MS? */
bool withheld_due(const struct conn *c);

/* Milliseconds until the first is due, at least 1; and what a wait does then, without a lock. */
int withheld_turn_ms(void);
void withheld_release_due(void);

/* In the child of a fork: it waits for nobody's. */
void withheld_after_fork(void);

#endif
