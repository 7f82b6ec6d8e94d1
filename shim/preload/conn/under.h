/* SPDX-License-Identifier: ISC */
/* under: which socket lies under the numbers of a conn, and the end-of-file socket there.  All of these take a locked conn. */
#ifndef HOLDFAST_PRELOAD_UNDER_H
#define HOLDFAST_PRELOAD_UNDER_H

#include "preload/conn/conn.h"

/* Puts `source`, a socket that stays the caller's, under every number of c, and moves its epoll registrations; what was
 * there loses these references.  0, or -errno with nothing changed. */
int under_put(struct conn *c, int source);

/* ENDED, ENDED_UNSWAPPED: the part of swap_end that can be put off (deferred.h): the end-of-file socket gets under the
 * numbers, and the connection is parked, or, `why` not to park it, closed.  The state is ENDED then. */
void under_end(struct conn *c, enum reason why);

/* ENDED: the client has ended its sending side, too: waits say POLLHUP from here on.  Where the end is put off, it
 * is told with that (deferred.h). */
void under_hang_up(struct conn *c);

/* ENDED: a send of the client's was swallowed, which its server would have answered by a reset: waits say POLLERR and POLLHUP
 * from here on; where the end is put off, from when that is made up for. */
void under_reset(struct conn *c);

/* ENDED, behind under_reset: the client was told of the error: waits say POLLHUP alone from here on. */
void under_reset_told(struct conn *c);

/* ENDED: somebody else gets a copy of the fd, with the flags of the description: the end of file that all share is replaced by
 * one of its own. */
void under_end_of_its_own(struct conn *c);

#endif
