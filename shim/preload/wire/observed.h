/* SPDX-License-Identifier: ISC */
/* observed: a client that keeps connections open by itself.  The library changes no byte.  The exchange follows what the client
 * gets, so that a close between two exchanges becomes a park.  What the client sends, outgoing.h follows. */
#ifndef HOLDFAST_PRELOAD_OBSERVED_H
#define HOLDFAST_PRELOAD_OBSERVED_H

#include "preload/conn/conn.h"

/* Locked.  OBSERVED: the client gets these `len` bytes of the server: the exchange follows them.  If it cannot follow
 * them any more, libc alone has the socket, and c has no number. */
void observed_follow(struct conn *c, const char *bytes, size_t len);

/* Locked.  OBSERVED: the client has got all bytes that were held for it (HELD_FOR_CLIENT).  As observed_follow, of these
 * bytes. */
void observed_follow_held(struct conn *c);

/* Locked.  OBSERVED: leaves the socket to libc, for the reason `why`.  While bytes are held the conn keeps its numbers: libc
 * has the socket when the client has got them. */
void observed_bypass(struct conn *c, enum reason why);

/* Locked.  OBSERVED: REASON_none if the connection can be parked now, or why not. */
enum reason observed_verdict(const struct conn *c);

#endif
