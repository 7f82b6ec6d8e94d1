/* SPDX-License-Identifier: ISC */
/* verify: a new client's judgement of a server whose key was proved on a kept connection.  As ssl_verify_cert_chain of
 * OpenSSL's ssl/ssl_cert.c, on public functions: the client's own store, parameters, callback and clock. */
#ifndef HOLDFAST_TLS_VERIFY_H
#define HOLDFAST_TLS_VERIFY_H

#include "tls/openssl.h"

#include <stdbool.h>

/* Would `s` accept the server of `kept`?  What `s` is asked of it afterwards is set as after a handshake: the result, the
 * name that matched, and *chain, which the caller frees by verify_free_chain.  The client's callback runs. */
bool verify_again(struct ssl *s, struct ssl *kept, void **chain);

/* What `s` makes of the server's statement about its certificate (OCSP), by its own callback; true: it has none.  The
 * program's questions about `s` have to be answered by `kept` meanwhile. */
bool verify_status(struct ssl *s);

void verify_free_chain(void *chain);

#endif
