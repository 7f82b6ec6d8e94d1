/* SPDX-License-Identifier: ISC */
/* reach: which modules of the process take part.  Only SSL_CTX_new is exported, with which every use of OpenSSL begins; when
 * it is called, each module that asks for libssl's functions gets ours in the places where its loader has put libssl's (its
 * GOT).  So libssl's own calls are its own, dlsym finds what it finds without us, and each module calls its own libssl.
 *
 * A module that asks for a function that is not in symbols.def, or has its address in another place than the GOT, ends the
 * reuse in the process; so does a second copy of libssl. */
#ifndef HOLDFAST_TLS_REACH_H
#define HOLDFAST_TLS_REACH_H

#include "tls/openssl.h"

#include <stdbool.h>

/* libssl's and libcrypto's, from the first use on. */
extern struct real real;

/* Is there reuse in this process, as far as is known? */
bool reach_is_on(void);

/* Modules that have come since get what the others got. */
void reach_look(void);

/* There is none from here on: what is under way ends as it would have. */
void reach_leave(void);

#endif
