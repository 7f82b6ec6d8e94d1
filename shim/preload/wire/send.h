/* SPDX-License-Identifier: ISC */
/* send: what becomes of bytes that the client sends on a tracked socket. */
#ifndef HOLDFAST_PRELOAD_SEND_H
#define HOLDFAST_PRELOAD_SEND_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* Does a send call (sendmsg(2) with these pieces and flags) by the number fd, of any state: a request's head is held
 * until it is known, adapted if it is one-shot, and sent on the connection that fits it; the rest is followed.  Locked;
 * released while it waits.  Returns how many of the client's bytes were accepted, -errno, CONN_PLAIN: make libc's call, or
 * CONN_SIGPIPE: -EPIPE, and the signal is the caller's to raise. */
ssize_t wire_send(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

#endif
