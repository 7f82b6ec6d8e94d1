/* SPDX-License-Identifier: ISC */
/* send: what becomes of bytes that the client sends on a tracked socket. */
#ifndef HOLDFAST_PRELOAD_SEND_H
#define HOLDFAST_PRELOAD_SEND_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* The work of a send call with these pieces and flags, on a locked conn, by the number fd.  Returns the
 * client's bytes that were accepted, -errno, CONN_PLAIN or CONN_SIGPIPE. */
ssize_t send_pieces(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

#endif
