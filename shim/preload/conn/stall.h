/* SPDX-License-Identifier: ISC */
/* stall: servers that serve one connection at a time.  Such a one accepts the next connection when the current
 * one has ended: one that lies idle here keeps a new one waiting until the server tires of it.  So whoever has
 * waited for a while for the first byte on a connection of its own lets go of all that lies idle for the
 * same place (pool/endpoint.h), here, in the tree and at the broker, and again and again.  Where that
 * has helped twice, nothing is left idle there for some time.
 *
 * Who waits for 100 Continue waits for longer: the body comes then in any case.
 * The time counts from the last acknowledgement of something new.  Nothing is closed while this process is sending a
 * request to that place: there are servers (curl's test server) that give up all that they are doing when any
 * connection ends.
 *
 * Where the server was only slow it costs a handshake. */
#ifndef HOLDFAST_PRELOAD_STALL_H
#define HOLDFAST_PRELOAD_STALL_H

#include "preload/conn/conn.h"

#include <stdatomic.h>
#include <stdbool.h>

/* How many conns wait for the first byte of an answer on a connection of their own. */
extern atomic_uint stall_count;
static inline bool stall_any(void)
{
    return atomic_load_explicit(&stall_count, memory_order_relaxed) != 0;
}

/* Locked.  c has sent its request on a connection of its own. */
void stall_begin(struct conn *c);

/* Locked.  c has sent bytes of a request's body. */
enum stall_sent { STALL_HEAD, STALL_BODY_IN_PART, STALL_WHOLE };
static inline void stall_sent(struct conn *c)
{
    if (c->waiter.ticket)
        atomic_store_explicit(&c->waiter.sent, exchange_request_done(&c->x) ? STALL_WHOLE : STALL_BODY_IN_PART,
                              memory_order_relaxed);
}

/* Locked.  Nobody waits for that any more; `answered`: because the first byte has come. */
void stall_over(struct conn *c, bool answered);

/* Guards the list of conns that wait (base/lock_order.h). */
extern struct lock stall_lock;

/* In the child of a fork: the list is empty there. */
void stall_after_fork(void);

/* Locked, or not. A connection to there goes to libc, on which nobody will see how long its client waits: lets go of
 * all that is idle there at once, before its first bytes are sent. */
void stall_make_way(const struct endpoint *to);

/* Not locked.  Milliseconds until stall_relieve has something to do: 1 or more. */
int stall_turn_ms(void);

/* Not locked, or one conn locked.  For each conn that has waited long enough: closes what is idle for the same listener. */
void stall_relieve(void);

/* Locked; released inside.  Before a call that blocks: waits for POLLIN or POLLOUT as it would, and lets go meanwhile.
 * Returns 0: make the call now.  1: make the call now, and do not call stall_wait for this call again.  -EINTR: a signal
 * without SA_RESTART arrived. */
int stall_wait(struct conn *c, int fd, short events);

#endif
