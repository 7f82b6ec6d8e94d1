/* SPDX-License-Identifier: ISC */
/* lookahead: what the bytes in the kernel's queue will be for the client, found by a peek and by a copy of the exchange. */
#ifndef HOLDFAST_PRELOAD_LOOKAHEAD_H
#define HOLDFAST_PRELOAD_LOOKAHEAD_H

#include "preload/wire/incoming.h"

/* Locked; released while it waits.  EXCHANGE, in a body, or where a byte of a head was left in the kernel: gives `buf` up to
 * `len` bytes of what a receive would give, and leaves them in the kernel.  As recv_step. */
ssize_t lookahead_peek(struct conn *c, struct incoming *call, char *buf, size_t len);

/* Locked.  EXCHANGE: takes the framing of chunks that lies in front of the next byte of the client's out of the kernel.  nginx,
 * for one, peeks to learn a length, receives just that many bytes, and then waits for an edge: framing that has arrived already
 * would never give one. */
void lookahead_take_framing(struct conn *c, struct incoming *call);

/* Locked; released while it connects.  A wait says that there is input for a client that blocks.  True: all that has come gives
 * the client nothing (a part of a head, a 1xx that is swallowed, the framing of chunks, an answer that is asked for once more),
 * and has been taken: a receive would wait.  Ask the kernel again.  errno is left alone. */
bool lookahead_takes_all(struct conn *c);

/* Locked; released while it connects.  The answer to FIONREAD: how many bytes a receive by fd would give without waiting, or
 * -errno.  Of chunks, what lies behind the first 64 KiB is counted with its framing.  A request that can be sent again because
 * the connection has ended is sent again: 1. */
ssize_t lookahead_available(struct conn *c, int fd);

#endif
