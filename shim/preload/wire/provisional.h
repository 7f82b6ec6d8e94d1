/* SPDX-License-Identifier: ISC */
/* provisional: a reused connection until it is certain that what comes answers the request, and not the
 * connection's past.  All of these take a locked conn.
 *
 * A 408, say, may answer either.  So the request is sent once more on a fresh connection, while the first answer is
 * held (c->reply.first): it is the client's if no fresh connection can be had.  Another answer there says that the first one
 * was to the past; the same one, that the server means it. */
#ifndef HOLDFAST_PRELOAD_PROVISIONAL_H
#define HOLDFAST_PRELOAD_PROVISIONAL_H

#include "base/slice.h"
#include "preload/conn/conn.h"

#include <stdbool.h>
#include <sys/types.h>

/* EXCHANGE, OBSERVED: the request went out on a reused connection and is held whole; no answer is known yet. */
static inline bool provisional_is(const struct conn *c)
{
    return c->reused && c->request.bytes.data && hold_len(&c->request.bytes) == 0;
}

/* Locked.  EXCHANGE, OBSERVED: is it still to be told whether what comes answers the request? */
static inline bool provisional_in_doubt(const struct conn *c)
{
    return provisional_is(c) || c->reply.first;
}

/* Of a provisional conn, or one with a `first`: all that has come of a response so far.  The first `taken` bytes of it are not in the
 * kernel any more.  Returns
 *   1        an answer to the request: the conn is not provisional any more
 *   0        it could still be anything: keep `taken` bytes and come back with more
 *   -ESTALE  the request is sent once more on a fresh connection: look again
 *   -errno   for the client: the bytes belong to somebody else, and the request cannot be sent again */
int provisional_judge(struct conn *c, struct slice bytes, size_t taken);

/* EXCHANGE, OBSERVED: what began to arrive answers an earlier request.  -ESTALE: ours is sent again on a fresh connection,
 * look again; -ECONNRESET: it cannot be, and the exchange is over. */
ssize_t provisional_earlier_reply(struct conn *c);

/* A receive gave n: has the connection that the request was sent on once more ended, or did it never come about? */
bool provisional_is_over(ssize_t n);

/* Then, before a byte: the first answer is the client's.  0: look again; -ENOTSUP: there is none. */
int provisional_fall_back(struct conn *c);

/* The socket of a borrowed conn is ready: because the connection is at its end, and nothing of an answer has come?
 * Does not wait. */
bool provisional_is_dead(struct conn *c);

/* Then: another connection takes its place, and the request, if any, goes out on it, without waiting.  0, or -errno:
 * the client has to see what happened. */
int provisional_mend(struct conn *c);

#endif
