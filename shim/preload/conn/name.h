/* SPDX-License-Identifier: ISC */
/* name: the local address of a leased connection, when its client asks for its own name. */
#ifndef HOLDFAST_PRELOAD_NAME_H
#define HOLDFAST_PRELOAD_NAME_H

#include "preload/conn/conn.h"

/* Locked, LEASED: the client asks for its own name.  If the machine has lost that address (IPv4), a socket of its own comes
 * under the fds, connected or nearly so, and the state is FRESH; a connect would not have given that name.  Waits as
 * long as a connect takes, at most 200 ms for a client that does not block.  One call, none for loopback. */
void name_check(struct conn *c);

#endif
