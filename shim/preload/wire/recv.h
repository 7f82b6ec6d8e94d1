/* SPDX-License-Identifier: ISC */
/* recv: what a client gets when it receives from a tracked socket. */
#ifndef HOLDFAST_PRELOAD_RECV_H
#define HOLDFAST_PRELOAD_RECV_H

#include "preload/wire/incoming.h"

#include <sys/uio.h>

/* Does a receive call (recvmsg(2) with these pieces and flags) by the number fd, of any state: gives the client what is
 * its of a response, and follows that.  Of several pieces, those behind the first are filled with what is there without
 * waiting.  Locked; released while it waits.  Returns bytes, 0 at the end of file, -errno, or CONN_PLAIN: make libc's
 * call. */
ssize_t wire_receive(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

/* One step of that, in EXCHANGE, or while edited bytes are held: the next bytes for the client.  `peeked`: how many of the
 * held bytes a peek has given already.  Locked; released while it waits.  Returns bytes; 0 at the end of file; -ESTALE:
 * nothing yet, call again; -errno. */
ssize_t recv_step(struct conn *c, struct incoming *call, char *buf, size_t len, size_t peeked);

#endif
