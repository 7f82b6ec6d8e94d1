/* SPDX-License-Identifier: ISC */
/* park: a response is complete: the program sees the end, and what speaks TLS on the connection is the pool's, or nobody's. */
#ifndef HOLDFAST_TLS_PARK_H
#define HOLDFAST_TLS_PARK_H

#include "tls/record.h"

/* OWN or ALIAS: it is ENDED from here on.  `persists`: the server keeps the connection open. */
void park_end(struct record *r, bool persists);

#endif
