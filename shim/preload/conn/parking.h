/* SPDX-License-Identifier: ISC */
/* parking: connections on their way between a conn and the pool.  parking_park gives a conn's connection to the pool, and
 * parking_adopt takes one over that was leased.  Also the spare: an untouched socket, made earlier, that the program was
 * given by socket(2) (preload/fds/spare.h). */
#ifndef HOLDFAST_PRELOAD_PARKING_H
#define HOLDFAST_PRELOAD_PARKING_H

#include "preload/conn/conn.h"

#include <stdbool.h>

/* Locked.  EXCHANGE, OBSERVED, LEASED, ENDED_UNSWAPPED: undoes the socket options that the client has set, and gives the
 * connection to the pool: c->fds.private_fd is the pool's then, and -1 here.  `served`: an exchange ended on it, and what the
 * exchange learned is noted.  Closes the connection if it cannot be parked. */
void parking_park(struct conn *c, bool served);

/* Locked.  Asks the kernel for the connection's local address, if c->idle does not have it yet: the address goes into the pool
 * with the connection.  Before the connection is first parked. */
void parking_remember_name(struct conn *c);

/* Locked.  NEW, LEASED: `idle`, which was taken out of the pool, becomes c's, with idle->fd as c->fds.private_fd.  The
 * caller puts the socket under the numbers. */
void parking_adopt(struct conn *c, const struct idle *idle);

/* Locked.  Makes the leased connection `idle` block, or not, as the client's socket does.  False: fcntl failed. */
bool parking_match_blocking(const struct conn *c, struct idle *idle);

/* Locked.  Asks the kernel for the cookie (SO_COOKIE) of c's connection, if c->idle does not have it yet. */
void parking_identify(struct conn *c);

/* Locked.  LEASED, and the first request comes, perhaps long after the lease: looks at the connection once more. 
 * REASON_none, or why it cannot be used: its server has closed it, unexpected bytes have come, or another socket lies under
 * the number. */
enum reason parking_second_look(const struct conn *c);

/* Locked.  EXCHANGE, OBSERVED, on a reused connection, and the first bytes have arrived.  True: they answer an earlier request.
 * A server sends no answer before it has received the first byte of the request, and its segments acknowledge that byte (RFC
 * 9293 3.8): bytes that come while all of the request is still unacknowledged belong to the past.  Notes this of the
 * endpoint.  errno is left alone. */
bool parking_answers_another(struct conn *c);

/* Locked, or in a process of one thread.  Another process uses the connection from here on, too: it is not parked.  Does
 * nothing where the exchange has ended. */
void parking_crossed_fork(struct conn *c);

/* Not locked: for conn_each, in the child of a fork.  The same, and forgets what is the parent's to do: the trial, the epoll
 * registrations, bytes that are held, and the threads inside.  Closes the child's private fd. */
void parking_crossed_fork_child(struct conn *c);

/* Locked.  c has no use for the untouched socket fd that was under its numbers: it becomes a spare again; or it is closed,
 * if it was made by another user, or in another namespace, than the calling thread has now. */
void parking_give_own(const struct conn *c, int fd);

/* Locked.  NEW_UNREADY: checks that the spare still lies under the number, and gives it the type and flags that the client
 * asked for; the state is NEW.  If something else lies there, c has no number any more.  Any other state: does nothing. */
void parking_make_ready(struct conn *c);

/* Locked.  NEW_UNREADY, NEW: the client is about to do something to the socket that a later owner could see.  As
 * parking_make_ready, and the state is NEW_TOUCHED: the socket is never a spare again. */
void parking_touch(struct conn *c);

#endif
