/* SPDX-License-Identifier: ISC */
/* reconnect: a connect on a number that has a connection, or had one, and one that a send asks for.
 * preload/conn/connecting.h says what a connect does to a conn. */
#ifndef HOLDFAST_PRELOAD_RECONNECT_H
#define HOLDFAST_PRELOAD_RECONNECT_H

#include "preload/conn/conn.h"

/* Locked; released while a socket is waited for.  Any further connect, of whatever state.  0 or -errno: the answer.
 * CONN_PLAIN: make the real call, and tell connecting_asked what it said; without numbers if it is not ours any more. */
int reconnect_again(struct conn *c, int fd, const struct sockaddr *to, socklen_t len);

/* Locked; released as by reconnect_again.  sendto(2) with MSG_FASTOPEN, which connects as connect(2) does.  0: send
 * without the flag.  CONN_PLAIN: make the plain call, with it.  Else the answer. */
int reconnect_by_send(struct conn *c, int fd, int flags, const struct sockaddr *to, socklen_t len);

#endif
