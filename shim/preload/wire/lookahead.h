/* SPDX-License-Identifier: ISC */
/* lookahead: what the bytes that lie in the kernel will be for the client, found by peeking and a copy
 * of the exchange. */
#ifndef HOLDFAST_PRELOAD_LOOKAHEAD_H
#define HOLDFAST_PRELOAD_LOOKAHEAD_H

#include "preload/wire/incoming.h"

/* MSG_PEEK behind the head, as recv_step: looks at more than the client has room for, since framing
 * falls out. */
ssize_t lookahead_peek(struct conn *c, struct incoming *call, char *buf, size_t len);

/* A client that was told by a short peek how much there is takes just that, and waits for an edge: the
 * framing behind it, which has arrived already, would never give one.  So it is taken, too. */
void lookahead_take_framing(struct conn *c, struct incoming *call);

/* What a receive would give without waiting: FIONREAD's answer, or -errno.  Of a body that has to be
 * decoded, what lies behind the first 64 KiB is counted with its framing. */
ssize_t lookahead_available(struct conn *c, int fd);

#endif
