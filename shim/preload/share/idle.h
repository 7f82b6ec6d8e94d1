/* idle: what the pool may do with sockets, and moving them between the pool, the conns and forks. */
#ifndef HOLDFAST_PRELOAD_IDLE_H
#define HOLDFAST_PRELOAD_IDLE_H

#include "preload/conn/conn.h"

#include <stdbool.h>

int idle_start(void); /* makes the pool; 0 or -errno */

/* Undoes what the client did to the connection and gives it to the pool; its private fd becomes the
 * pool's.  `served`: an exchange ended on it, and what the exchange learned counts. */
void idle_park(struct conn *c, bool served);

/* The connection's own name is asked for once, before it is first parked, and goes with it. */
void idle_remember_name(struct conn *c);

/* The other way: a leased connection becomes the conn's.  The socket is not under the fds yet. */
void idle_adopt(struct conn *c, const struct idle *idle);

/* Closes an idle connection, so that its server notices; `why` is counted and logged. */
void idle_discard(const struct idle *idle, enum reason why);

/* Makes a leased connection block, or not, as the client's socket does; false: cannot. */
bool idle_match_blocking(const struct conn *c, struct idle *idle);

/* Asks for the cookie of the connection under a conn that is in use, if it is not known yet. */
void idle_identify(struct conn *c);

/* Of a server that has promised nothing the end may be on its way: gives it a millisecond, once for a
 * connection that has served a single request.  False: it has ended. */
bool idle_wait_for_proof(const struct idle *idle);

/* A lease may be older than a moment when its first request comes, and may not have been looked at:
 * REASON_none, or what has become of the idle connection under a LEASED conn. */
enum reason idle_second_look(const struct conn *c);

/* Is what begins to arrive on a conn not the answer to its request?  A reply is never sent before the
 * first byte of its request was received, and it acknowledges that (9293 3.8): while all of the request is
 * still unacknowledged, what comes on a reused connection belongs to an earlier exchange.  The endpoint
 * is remembered for it. */
bool idle_answers_another(struct conn *c);

/* Is its fd still ours, and still the same socket? */
bool idle_is_there(const struct idle *idle);

/* For conn_each, after a fork: a connection that is in use on both sides is nobody's to pool. */
void idle_crossed_fork(struct conn *c);
void idle_crossed_fork_child(struct conn *c);
void idle_close_copy(const struct idle *idle);

#endif
