/* SPDX-License-Identifier: ISC */
/* dialect: which HTTP a server speaks.  Some devices know HTTP/1.0 only: they answer 505 to a request of HTTP/1.1, or hang up.
 * Others end lines with a bare LF, or answer with something else altogether.  The tables of evidence
 * (preload/share/evidence.h) keep what is known.
 *
 * A one-shot request of HTTP/1.0 is sent as HTTP/1.1.  Until an endpoint has answered such a request well, the client's own
 * bytes of an idempotent one are kept in c->request.bytes until the answer begins.  If the server refuses the adapted
 * request, the client's own bytes go out on a fresh connection, and everything behind them passes as it is. */
#ifndef HOLDFAST_PRELOAD_DIALECT_H
#define HOLDFAST_PRELOAD_DIALECT_H

#include "base/slice.h"
#include "preload/conn/conn.h"

#include <stdbool.h>
#include <sys/types.h>

/* Locked.  FRESH, LEASED, and the head of a one-shot request is known: why it must not be adapted for this server, or
 * REASON_none. */
enum reason dialect_objection(const struct conn *c);

/* Locked.  FRESH, and the head is known: may the client's own bytes be needed? */
bool dialect_wants(const struct conn *c);

/* Locked.  EXCHANGE, on a connection that served no other client: keeps the client's own bytes, head and body; `own` is moved
 * into c, and may be empty. */
void dialect_keep(struct conn *c, struct hold *own);

/* Locked.  EXCHANGE: are the client's own bytes kept, and has no answer begun? */
static inline bool dialect_waits(const struct conn *c)
{
    return !c->reused && c->request.bytes.data && hold_len(&c->request.bytes) == 0;
}

/* Locked; released while it connects.  dialect_waits is true, and `bytes` is everything that has come of a response.  Returns
 *   1        an answer to the adapted request: the client's own bytes are dropped
 *   0        it could still be anything: call again with more
 *   -ESTALE  the client's own bytes were sent on a fresh connection: receive again
 *   -errno   for the client */
int dialect_judge(struct conn *c, struct slice bytes);

/* Locked; released while it connects.  EXCHANGE: the server closed without an answer.  0: the client's own bytes were sent on a
 * fresh connection; -ENOTSUP: they are not kept, or an answer has begun; -errno: for the client. */
int dialect_hung_up(struct conn *c);

/* Locked.  EXCHANGE: a part of a response was followed.  Notes what the response says of the server. */
void dialect_learn(const struct conn *c);

#endif
