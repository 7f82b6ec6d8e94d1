/* SPDX-License-Identifier: ISC */
/* observed: a client that manages persistence itself.  Its bytes are not touched; what libc's calls did
 * is shown to the exchange, so that a close between two exchanges becomes a park. */
#ifndef HOLDFAST_PRELOAD_OBSERVED_H
#define HOLDFAST_PRELOAD_OBSERVED_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* As wire_receive, of a locked conn in OBSERVED. */
ssize_t observed_recv(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

/* May the connection be parked now?  REASON_none, or why not. */
enum reason observed_verdict(const struct conn *c);

#endif
