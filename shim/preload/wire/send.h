/* SPDX-License-Identifier: ISC */
/* send: what becomes of bytes that a client sends on a tracked socket.  A request's head is held until it is whole, adapted if
 * the request is one-shot, and sent on the connection that fits it.  What follows is behind.h's. */
#ifndef HOLDFAST_PRELOAD_SEND_H
#define HOLDFAST_PRELOAD_SEND_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* Locked; released while it waits or connects.  Any state: does sendmsg(2) with these n pieces and flags by the number fd.
 * Returns
 *   how many of the client's bytes were accepted: sent, or held
 *   -errno        as send(2)
 *   CONN_SIGPIPE  -EPIPE, and the signal is the caller's to raise
 *   CONN_PLAIN    make libc's call */
ssize_t wire_send(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

#endif
