/* SPDX-License-Identifier: ISC */
/* path: an idle connection whose way to the server is gone.  The machine lost the local address (DHCP, a VPN), or
 * a firewall or NAT forgot the connection: the kernel sends the request again and again, and no end ever comes.
 *
 * The kernel has the clock for that.  With TCP_USER_TIMEOUT (tcp(7)) the kernel breaks a connection whose bytes are
 * not acknowledged: one retransmission timeout (at least 200 ms and the smoothed RTT) plus the option's value after
 * they were sent.  The break wakes whoever waits, in whatever call, and is treated as any break of a reused
 * connection: the request is sent again on a fresh one.  The kernel forgets the old one's bytes and answers the
 * server's next segment with a reset.
 *
 * A connection gets the option when it is first parked and keeps it: a lease costs no call.  `idle.guarded` says that
 * a conn's socket has it.  It is taken away where a break could not be mended, because the client would get an error
 * that a direct connection would not have given:
 *   - the request is not to be sent twice, or is not held whole;
 *   - the response has begun before the request was sent whole;
 *   - an observed client sends another request on the connection;
 *   - SO_KEEPALIVE is set and the response goes on: with the option one lost probe would be the end (tcp_timer.c);
 *   - the socket becomes libc's, another process's, or is closed before it was answered;
 *   - the client asks for the option, or sets it. */
#ifndef HOLDFAST_PRELOAD_PATH_H
#define HOLDFAST_PRELOAD_PATH_H

#include "preload/conn/conn.h"

/* Locked.  c->idle is about to be parked: gives c->idle.fd the option, unless it has it, or the client has set its own value.
 * errno is left alone, here and below. */
void path_guard(struct conn *c);

/* Locked.  c was lent a connection that was parked: it has the option, unless the client has set its own value. */
void path_adopted(struct conn *c);

/* Locked.  Takes the option away from c's socket; not behind the end, where that is in the pool. */
void path_unguard_now(struct conn *c);
static inline void path_unguard(struct conn *c)
{
    if (c->idle.guarded && !conn_has_ended(c))
        path_unguard_now(c);
}

/* Locked.  Bytes of the response came; `whole`: the response is complete.  Takes the option away where a break could not be
 * mended from here on. */
void path_answered(struct conn *c, bool whole);

/* Locked.  A call on c's socket failed with the errno `error`, which is none of the usual ends (fds/socket.h).  True: the
 * connection is broken.  Some errors that ICMP reports (icmp(7)) can also come from a policy; then the state of the socket
 * decides. */
bool path_is_broken(const struct conn *c, int error);

#endif
