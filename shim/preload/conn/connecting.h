/* SPDX-License-Identifier: ISC */
/* connecting: what a connect does to a conn, whether connect(2) or a send with MSG_FASTOPEN asks for it.
 *
 * One conn, one connect.  A conn's endpoint is what its only connect asked for that succeeded or is pending: else the
 * connection to B would be parked as one to A.  The kernel begins a connection only on a socket that is not
 * connected and not connecting (__inet_stream_connect, SS_UNCONNECTED); of a tracked conn that is NEW alone.  It could be
 * so in another state by AF_UNSPEC, by a pending connect that failed, by a fast open that failed, or by another thread's
 * connect that fails meanwhile.  Each of these makes the number a stranger: the conn is forgotten, before the
 * call where the call itself could connect, else after it. */
#ifndef HOLDFAST_PRELOAD_CONNECTING_H
#define HOLDFAST_PRELOAD_CONNECTING_H

#include "preload/conn/conn.h"

/* No conn is needed.  The address is AF_UNSPEC: connect(2) gives up what connection there is. */
bool connecting_is_nowhere(const struct sockaddr *to, socklen_t len);

/* No conn is needed.  The kernel refuses such an address before it looks at the socket. */
bool connecting_is_bad(const struct sockaddr *to, socklen_t len);

/* Locked.  NEW: remembers where the socket goes and leases an idle connection to there: 0 (the state is LEASED), or
 * CONN_PLAIN: make the real call; without numbers if it is not ours. */
int connecting_lease(struct conn *c, const struct sockaddr *to, socklen_t len);

/* Locked.  The socket is about to be connected by a real call: the state is FRESH. */
void connecting_fresh(struct conn *c);

/* Locked.  FRESH, after that call: `error` is its errno, or 0.  NEW again if nothing is connected or pending. */
void connecting_begun(struct conn *c, int error);

/* Locked.  The kernel has answered a further connect (preload/wire/reconnect.h) with `error`, or 0. */
void connecting_asked(struct conn *c, const struct sockaddr *to, socklen_t len, int error);

/* Locked.  FRESH, after the client's own fast open has failed by -errno: NEW again if nothing is pending. */
void connecting_send_failed(struct conn *c, int error);

#endif
