/* SPDX-License-Identifier: ISC */
/* recv: what a client gets when it receives from a tracked socket, whether its exchange is adapted or observed.  The exchange
 * follows the bytes; of an adapted one the head is edited, and chunks are decoded where the client cannot decode them. */
#ifndef HOLDFAST_PRELOAD_RECV_H
#define HOLDFAST_PRELOAD_RECV_H

#include "preload/wire/incoming.h"

#include <sys/uio.h>

/* Locked; released while it waits or connects.  Any state: does recvmsg(2) with these n pieces and flags by the number fd.
 * The client gets no less than the kernel would have given.  Of several pieces, those behind the first are filled with what is
 * there without waiting.  Returns how many bytes, 0 at the end of file, -errno, or CONN_PLAIN: make libc's call. */
ssize_t wire_receive(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

/* Locked; released while it waits or connects.  EXCHANGE, OBSERVED, ENDED: one step of that, with one real receive at most.
 * `peeked`: how many of the held bytes this peek has given already.  Returns how many bytes of the client's are in buf now,
 * len at most; 0 at the end of file; -ESTALE: none yet, call again; -errno. */
ssize_t recv_step(struct conn *c, struct incoming *call, char *buf, size_t len, size_t peeked);

#endif
