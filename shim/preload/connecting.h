/* connecting: the first steps of a NEW conn, whether connect(2) or a send with MSG_FASTOPEN takes them. */
#ifndef HOLDFAST_PRELOAD_CONNECTING_H
#define HOLDFAST_PRELOAD_CONNECTING_H

#include "preload/conn.h"

/* Remembers where the socket goes and leases an idle connection to there: 0 (the state is LEASED), or
 * CONN_PLAIN: make the real call; without numbers if it is not ours. */
int connecting_lease(struct conn *c, const struct sockaddr *to, socklen_t len);

/* The socket is about to be connected by a real call: the state is FRESH. */
void connecting_fresh(struct conn *c);

/* sendto(2) with MSG_FASTOPEN on a NEW conn: the connection that it will go out on.  False: leave the
 * call to libc. */
bool connecting_by_send(struct conn *c, const struct sockaddr *to, socklen_t len);

#endif
