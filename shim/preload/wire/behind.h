/* SPDX-License-Identifier: ISC */
/* behind: what the client sends behind the head of a request: the rest of the body, and whatever follows the request.
 *
 * Of an observed client everything goes out as it is.  Of an adapted request the body goes out.  Bytes behind the request go
 * out, wait in c->request.behind (64 KiB at most) or are dropped: a server that closes behind its answer would not have read
 * them, and on a connection that stays open they would be taken for the next request.  Which of these, the head of the
 * answer decides (exchange_listens in http/exchange.h). */
#ifndef HOLDFAST_PRELOAD_BEHIND_H
#define HOLDFAST_PRELOAD_BEHIND_H

#include "preload/wire/outgoing.h"

/* Locked; released while it sends or waits.  EXCHANGE or OBSERVED, and the head went out: sends `from`, by the number fd, with
 * the flags of send(2), in one real call where that is possible.  Urgent data of an observed client makes libc alone
 * have the socket.  Returns how many bytes of the pieces are dealt with, from.skip included: sent, held or dropped.  If
 * that would be 0:
 *   -errno        as send(2)
 *   CONN_SIGPIPE  -EPIPE, and the signal is the caller's to raise
 *   CONN_PLAIN    make libc's call */
ssize_t behind_send(struct conn *c, int fd, struct outgoing_pieces from, int flags);

/* Locked.  EXCHANGE: the client sends nothing, or `total` bytes with MSG_OOB.  CONN_PLAIN: make libc's call; `total`: the bytes
 * are dropped, because the server would not have read them. */
ssize_t behind_send_odd(struct conn *c, size_t total);

/* Locked.  EXCHANGE: the client closes fd.  What is held goes out if no server can take it for another request; else it is
 * dropped.  Does not wait. */
void behind_close(struct conn *c, int fd);

/* Locked.  EXCHANGE: more may be known of the answer's head.  If it says what becomes of the held bytes, they go out, or are
 * dropped; and a half-close of the client's goes out to a server that listens for it. */
void behind_settle(struct conn *c);

/* Locked.  EXCHANGE: the client has just shut down its sending side (c->after.write_shut).  A server that has answered a second
 * request on a connection does not wait for that.  Any other server has WITHHELD_MS to answer (conn/withheld.h), then it is
 * told. */
void behind_end(struct conn *c);

#endif
