/* SPDX-License-Identifier: ISC */
/* under: puts another socket under the numbers of a conn (dup3), and the end-of-file socket (fds/eof.h) behind an exchange. */
#ifndef HOLDFAST_PRELOAD_UNDER_H
#define HOLDFAST_PRELOAD_UNDER_H

#include "preload/conn/conn.h"

/* Locked.  Puts `source`, a socket that stays the caller's, under every number of c, and moves its epoll registrations; what
 * was there loses these references.  0, or -errno with nothing changed. */
int under_put(struct conn *c, int source);

/* Locked.  ENDED, ENDED_UNSWAPPED: the part of swap_end that can be put off (deferred.h).  Puts the end-of-file socket under
 * the numbers, and parks the connection; or closes it, if `why` is not REASON_none.  The state is ENDED then. */
void under_end(struct conn *c, enum reason why);

/* Locked.  ENDED: the client has shut down its sending side, too: waits say POLLHUP from here on.  ENDED_UNSWAPPED: from
 * when the end-of-file socket is put there. */
void under_hang_up(struct conn *c);

/* Locked.  ENDED: a send of the client's was dropped that its server would have answered by a reset: waits say POLLERR and
 * POLLHUP from here on.  ENDED_UNSWAPPED: from when the end-of-file socket is put there. */
void under_reset(struct conn *c);

/* Locked.  ENDED, behind under_reset: the client was told of the error: waits say POLLHUP alone from here on. */
void under_reset_told(struct conn *c);

/* Locked.  ENDED: what the client sets on the socket from here on, or another process that gets a copy of the fd, is the
 * kernel's to judge and to remember.  Puts an end-of-file socket of c's own, with the client's options, in place of the one that
 * all conns share.  True: what lies under the numbers is this client's alone (after.own_end).  False: no,
 * because of copies that cannot be followed, or for lack of something.  errno is left alone. */
bool under_end_of_its_own(struct conn *c);

#endif
