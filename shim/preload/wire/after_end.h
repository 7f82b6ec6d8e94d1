/* SPDX-License-Identifier: ISC */
/* after_end: what a client sends after its server has closed.  Directly the kernel accepts the first such send, the server
 * answers it with a reset, and the next send fails with EPIPE.  Under holdfast the connection is back in the pool by then,
 * so this module answers: nothing is sent. */
#ifndef HOLDFAST_PRELOAD_AFTER_END_H
#define HOLDFAST_PRELOAD_AFTER_END_H

#include "preload/conn/conn.h"

#include <sys/types.h>

/* Locked.  ENDED: the client sends `total` bytes.  Returns
 *   total         the first time: the bytes are dropped, and waits say POLLERR and POLLHUP from then on
 *   CONN_PLAIN    the socket is the client's own (under_end_of_its_own): so it goes in the kernel
 *   CONN_SIGPIPE  after that, or if the client has shut down its sending side */
ssize_t after_end_send(struct conn *c, size_t total);

/* Locked.  EXCHANGE: a direct server would have closed by now, because all of its answer lies in the kernel.  True: the
 * answer was taken out of the kernel and is held for the client; the state is ENDED.  False: nothing has changed, except
 * that a half-closed connection whose server has closed is told the client's half-close. */
bool after_end_has_come(struct conn *c);

#endif
