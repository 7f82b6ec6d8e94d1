/* SPDX-License-Identifier: ISC */
/* swap: which connection a client has: leased from the pool, or its own in place of a leased one (re-homed), or none behind the
 * end of its exchange.  The client keeps its numbers.  What puts a socket under them is under.h. */
#ifndef HOLDFAST_PRELOAD_SWAP_H
#define HOLDFAST_PRELOAD_SWAP_H

#include "preload/conn/conn.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Grows before another connection is put under the numbers of any conn.  A wait that sees it grow asks the kernel again: what
 * the kernel said may be true of the connection before. */
extern atomic_uint swap_replaced;

/* Locked, NEW: leases an idle connection to c->to.  0: the state is LEASED; -errno: nothing has changed. */
int swap_lease(struct conn *c);

/* Locked; released inside. LEASED: the request wants another connection than the one it has, or that one is not
 * `healthy` any more. Leases one that fits exactly, or re-homes. 0 or -errno as swap_rehome. */
int swap_exchange_lease(struct conn *c, bool healthy);

/* Locked; released while it connects. LEASED, EXCHANGE or OBSERVED: puts a socket of its own under the fds, connected
 * as the client's would have been; without waiting if the client does not block (then the first send connects:
 * `fastopen`). The old connection goes back to the pool if it is to be kept, or it is closed. Not kept is one that is
 * not healthy, nor one whose place the new one will take: a server that serves one connection at a time would wait for
 * the end of the old one, and the client for the server. 0, or an error as of fresh_late_error, with the old socket
 * still there; but it may have no connection any more. */
int swap_rehome(struct conn *c, bool keep);

/* Locked.  The same, never waiting, whether the client blocks or not: before the first send (LEASED) the connection is
 * being made, else the first send connects. */
int swap_rehome_at_once(struct conn *c);

/* Locked; released while it connects.  LEASED or SECURED: as swap_rehome, but where the client does not block, a connect is
 * under way from here on, and what is sent before it is made is answered as the kernel does. */
int swap_rehome_connecting(struct conn *c, bool keep);

/* Locked. ENDED: puts a socket under the fds that is not connected, with the client's options. 0, or -errno with
 * nothing changed. */
int swap_unconnected(struct conn *c);

/* Locked.  EXCHANGE, OBSERVED: the response is complete.  Parks the connection or closes it, and shows an end of file. */
void swap_end(struct conn *c);

#endif
