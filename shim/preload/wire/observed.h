/* SPDX-License-Identifier: ISC */
/* observed: a client that manages persistence itself.  Its bytes are not touched; what libc's calls did
 * is shown to the exchange, so that a close between two exchanges becomes a park. */
#ifndef HOLDFAST_PRELOAD_OBSERVED_H
#define HOLDFAST_PRELOAD_OBSERVED_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* Locked, OBSERVED.  The client gets these bytes of the server: the exchange follows them.  libc alone has the socket
 * then, and c no number, if nobody can follow it any more. */
void observed_follow(struct conn *c, const char *bytes, size_t len);

/* Locked, OBSERVED.  The client has got all that was held for it: the same for that. */
void observed_follow_held(struct conn *c);

/* May the connection be parked now?  REASON_none, or why not. */
enum reason observed_verdict(const struct conn *c);

#endif
