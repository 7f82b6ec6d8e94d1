/* SPDX-License-Identifier: ISC */
/* dialect: what of HTTP a server speaks (preload/share/evidence.h).  Some devices know HTTP/1.0 only: they answer 505 to a
 * request of 1.1, or hang up.  Others end lines with a bare LF, or answer with something else altogether.  Where a
 * request of 1.1 was not yet answered well, the client's own bytes are kept until the answer begins: an idempotent
 * request goes out once more as they are.  All of these take a locked conn. */
#ifndef HOLDFAST_PRELOAD_DIALECT_H
#define HOLDFAST_PRELOAD_DIALECT_H

#include "base/slice.h"
#include "preload/conn/conn.h"

#include <stdbool.h>
#include <sys/types.h>

/* A one-shot request is known: why it is not to be adapted for this server, or REASON_none. */
enum reason dialect_objection(const struct conn *c);

/* FRESH: may the client's own bytes be needed? */
bool dialect_wants(const struct conn *c);

/* EXCHANGE, on a connection of its own: these are they, head and body. */
void dialect_keep(struct conn *c, struct hold *own);

/* Are they kept, and was nothing of an answer seen? */
static inline bool dialect_waits(const struct conn *c)
{
    return !c->reused && c->request.bytes.data && hold_len(&c->request.bytes) == 0;
}

/* Of a conn that waits: all that has come of a response.  Returns 1: go on; 0: it could still be anything;
 * -ESTALE: the request is sent once more, look again; -errno. */
int dialect_judge(struct conn *c, struct slice bytes);

/* The server ended without an answer: 0: the request is sent once more; -ENOTSUP: it cannot be. */
int dialect_hung_up(struct conn *c);

/* Something of a response was followed: what it says of the server is noted. */
void dialect_learn(const struct conn *c);

#endif
