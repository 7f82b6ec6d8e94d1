/* SPDX-License-Identifier: ISC */
/* after_end: what a client sends when its server has closed. */
#ifndef HOLDFAST_PRELOAD_AFTER_END_H
#define HOLDFAST_PRELOAD_AFTER_END_H

#include "preload/conn/conn.h"

#include <sys/types.h>

/* Locked, ENDED.  `total`: so many bytes.  What a send answers: that many, for the first, or CONN_SIGPIPE. */
ssize_t after_end_send(struct conn *c, size_t total);

/* Locked, EXCHANGE.  Does the whole answer lie in the kernel, behind which a direct server would have closed?  Then the state
 * is ENDED.  What the client has shut down itself the kernel answers for. */
bool after_end_has_come(struct conn *c);

#endif
