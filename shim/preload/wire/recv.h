/* SPDX-License-Identifier: ISC */
/* recv: what a client gets when it receives from a tracked socket. */
#ifndef HOLDFAST_PRELOAD_RECV_H
#define HOLDFAST_PRELOAD_RECV_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* The work of a receive call by the number fd, on a locked conn.  Returns bytes, -errno or CONN_PLAIN.
 * Of several pieces, those behind the first are filled with what is there without waiting. */
ssize_t recv_pieces(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

/* Locked.  A call has given messages, and then met `error`: the next receive tells it. */
void recv_tell_later(struct conn *c, int error);

/* The client closes in the middle of a response: takes what has already arrived, and only a little of
 * it.  True if that completed the response (the state is ENDED then). */
bool recv_drain(struct conn *c, int fd);

#endif
