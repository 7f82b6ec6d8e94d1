/* SPDX-License-Identifier: ISC */
/* behind: what the client sends behind the head of a request: its body, and more. */
#ifndef HOLDFAST_PRELOAD_BEHIND_H
#define HOLDFAST_PRELOAD_BEHIND_H

#include "preload/wire/outgoing.h"

/* Locked; released while it sends.  EXCHANGE, OBSERVED, and the head went out: sends the pieces, of which `skip` bytes have
 * been dealt with, in one real call where that is possible.  What the exchange says passes as it is goes out, which is
 * everything where the client is observed.  Returns how many bytes of the pieces are dealt with, `skip` included; -errno or CONN_SIGPIPE
 * if that is 0. */
ssize_t behind_send(struct conn *c, int fd, struct outgoing_pieces from, int flags);

/* EXCHANGE: nothing, or urgent data, is sent: as it is (CONN_PLAIN), or not at all. */
ssize_t behind_send_odd(struct conn *c, size_t total);

/* EXCHANGE: the client closes, and nothing will follow what was held back: what can only be a part of a request, or none,
 * goes out. */
void behind_close(struct conn *c, int fd);

/* EXCHANGE: the head of the answer has been seen, perhaps: what was held back goes out or is dropped, and a
 * half-close goes out, as a server would have met it that was not asked to persist. */
void behind_settle(struct conn *c);

/* EXCHANGE: the client has ended its sending side.  A server that has answered a second request on a connection does not
 * wait for the end of the first.  Of another one nothing is known: it has WITHHELD_MS to answer, then it gets the end. */
void behind_end(struct conn *c);

#endif
