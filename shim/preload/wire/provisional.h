/* SPDX-License-Identifier: ISC */
/* provisional: a reused connection until it is certain that the bytes which come answer the request, and nothing that was
 * sent before it.
 *
 * A 408, for example, may answer either.  So the request is sent once more on a fresh connection, while the first answer is
 * held (c->reply.first).  If the fresh connection brings another answer, the first one answered the past.  If it brings the
 * same one, the server means it.  If no fresh connection can be had, the client gets the first answer. */
#ifndef HOLDFAST_PRELOAD_PROVISIONAL_H
#define HOLDFAST_PRELOAD_PROVISIONAL_H

#include "base/slice.h"
#include "preload/conn/conn.h"

#include <stdbool.h>
#include <sys/types.h>

/* Locked.  EXCHANGE, OBSERVED: the request went out on a reused connection and is held whole; no answer is known yet. */
static inline bool provisional_is(const struct conn *c)
{
    return c->reused && c->request.bytes.data && hold_len(&c->request.bytes) == 0;
}

/* Locked.  EXCHANGE, OBSERVED: is it still to be told whether what comes answers the request? */
static inline bool provisional_in_doubt(const struct conn *c)
{
    return provisional_is(c) || c->reply.first;
}

/* Locked; released while it connects.  provisional_in_doubt is true, and `bytes` is everything that has come of a response; its
 * first `taken` bytes are not in the kernel any more.  Returns
 *   1        an answer to the request: it is in doubt no more
 *   0        it could still be anything: keep the `taken` bytes, and call again with more
 *   -ESTALE  the request was sent once more on a fresh connection: receive again
 *   -errno   for the client: the bytes belong to somebody else, and the request cannot be sent again */
int provisional_judge(struct conn *c, struct slice bytes, size_t taken);

/* Locked; released while it connects.  EXCHANGE, OBSERVED: what began to arrive answers an earlier request.  -ESTALE: the
 * client's request was sent again on a fresh connection: receive again.  -ECONNRESET: it cannot be sent again; the state is
 * ENDED. */
ssize_t provisional_earlier_reply(struct conn *c);

/* A receive gave n, bytes or -errno, while a first answer is held: did the second connection end, or never come about? */
bool provisional_is_over(ssize_t n);

/* Locked.  The second connection has brought no byte: the first answer is the client's, and its connection lies under the
 * numbers again.  0: receive again; -ENOTSUP: no first answer is held, or its connection cannot be put there. */
int provisional_fall_back(struct conn *c);

/* Locked.  A wait says that the socket of a borrowed conn is ready.  True: only because the connection ended before a byte of
 * an answer came.  Does not wait.  errno is left alone. */
bool provisional_is_dead(struct conn *c);

/* Locked.  provisional_is_dead said true: puts another connection under the numbers, and sends the request, if there is one,
 * again, without waiting.  0, or -errno: the client must see what happened.  errno is left alone. */
int provisional_mend(struct conn *c);

#endif
