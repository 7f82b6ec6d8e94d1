/* SPDX-License-Identifier: ISC */
/* parking: connections on their way between a conn and the pool: parked, adopted, and the spare that a conn was handed
 * out for a socket (preload/fds/spare.h).  All of these take a locked conn, but for those that say otherwise. */
#ifndef HOLDFAST_PRELOAD_PARKING_H
#define HOLDFAST_PRELOAD_PARKING_H

#include "preload/conn/conn.h"

#include <stdbool.h>

/* Undoes what the client did to the connection and gives it to the pool; its private fd becomes the
 * pool's.  `served`: an exchange ended on it, and what the exchange learned counts. */
void parking_park(struct conn *c, bool served);

/* The connection's own name is asked for once, before it is first parked, and goes with it. */
void parking_remember_name(struct conn *c);

/* The other way: a leased connection becomes the conn's.  The socket is not under the fds yet. */
void parking_adopt(struct conn *c, const struct idle *idle);

/* Makes a leased connection block, or not, as the client's socket does; false: cannot. */
bool parking_match_blocking(const struct conn *c, struct idle *idle);

/* Asks for the cookie of the connection under a conn that is in use, if it is not known yet. */
void parking_identify(struct conn *c);

/* A lease may be older than a moment when its first request comes, and may not have been looked at:
 * REASON_none, or what has become of the idle connection under a LEASED conn. */
enum reason parking_second_look(const struct conn *c);

/* Is what begins to arrive on a conn not the answer to its request?  A reply is never sent before the
 * first byte of its request was received, and it acknowledges that (9293 3.8): while all of the request is
 * still unacknowledged, what comes on a reused connection belongs to an earlier exchange.  The endpoint
 * is remembered for it. */
bool parking_answers_another(struct conn *c);

/* For conn_each, after a fork: a connection that is in use on both sides is nobody's to pool. */
void parking_crossed_fork(struct conn *c);

/* The same in the child, which gives up what is the parent's. */
void parking_crossed_fork_child(struct conn *c);

/* Gives back the socket of a conn's own, which the conn has no use for: spare_give, unless it was made by another user, or
 * elsewhere, than this thread is now. */
void parking_give_own(const struct conn *c, int fd);

/* An unready conn's socket becomes what the client believes it is; nothing of any other.  The conn has no
 * number any more if another thing was found under it. */
void parking_make_ready(struct conn *c);

/* NEW: something will be done to the socket.  Settles it; it is never a spare again. */
void parking_touch(struct conn *c);

#endif
