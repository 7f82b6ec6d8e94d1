/* SPDX-License-Identifier: ISC */
/* hello: what two clients negotiate with a server is the same if their ClientHellos are, but for what is random in them.
 * So the key of a connection is its ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2) without that.  Pure. */
#ifndef HOLDFAST_TLS_HELLO_H
#define HOLDFAST_TLS_HELLO_H

#include "tls/bytes.h"

#include <stdint.h>

/* Adds the key of the flight, one ClientHello in one record, to `key`.  A session that is offered is no
 * part of it.  False: it has early data or another thing that is this client's alone; or it is something else. */
bool hello_key(const char *flight, size_t len, struct bytes *key);

/* Of a key; never 0. */
uint64_t hello_hash(const struct bytes *key);

#endif
