/* SPDX-License-Identifier: ISC */
/* handshake: a client's handshake is its own, or it becomes an alias of a kept object: if the ClientHello that it would send
 * is the same (hello.h), what is set besides is the same, and its own verification accepts the server anew (verify.h).
 *
 * The ClientHello is made into memory, before a byte is sent; refused, it goes out as it is. */
#ifndef HOLDFAST_TLS_HANDSHAKE_H
#define HOLDFAST_TLS_HANDSHAKE_H

#include "tls/record.h"

/* As SSL_connect or SSL_do_handshake, `call`, of an object that has a record. */
int handshake_run(struct record *r, int (*call)(struct ssl *s));

/* Before anything is said on it: does what is due.  1: done; else what the call answers, as of a handshake that goes on or
 * has failed. */
int handshake_settle(struct record *r);

/* ALIAS, of whose answer nothing has come: from here on it is OWN, on another connection, and its handshake is due.  False: it
 * cannot be; errno. */
bool handshake_replace(struct record *r);

#endif
