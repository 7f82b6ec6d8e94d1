/* SPDX-License-Identifier: ISC */
/* talk: a request and its response, between a client's calls and the object that speaks on the connection.  Both sides'
 * bytes pass through http/exchange.h, which says what is changed, and where the response ends. */
#ifndef HOLDFAST_TLS_TALK_H
#define HOLDFAST_TLS_TALK_H

#include "tls/record.h"

/* Bytes, or what the call answers that gave none (SSL_read(3)); then r->error. */
int talk_read(struct record *r, void *buf, int len, bool peek);
int talk_write(struct record *r, const void *buf, int len);

/* SSL_shutdown(3). */
int talk_shutdown(struct record *r);

/* Bytes that the client can read without a wait. */
size_t talk_pending(const struct record *r);

#endif
