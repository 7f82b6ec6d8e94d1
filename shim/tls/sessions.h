/* SPDX-License-Identifier: ISC */
/* sessions: the program's callback for a session that a server gives (SSL_CTX_sess_set_new_cb(3)).  OpenSSL calls it with the
 * object that speaks: the program hears of a session of its own object, and of no other. */
#ifndef HOLDFAST_TLS_SESSIONS_H
#define HOLDFAST_TLS_SESSIONS_H

#include "tls/openssl.h"

#include <stdbool.h>

/* Once; false: there is no room. */
bool sessions_begin(void);

/* SSL_CTX_sess_set_new_cb and SSL_CTX_sess_get_new_cb. */
void sessions_set_callback(struct ssl_ctx *ctx, void *callback);
void *sessions_callback(struct ssl_ctx *ctx);

/* No callback, or one that was set by sessions_set_callback. */
bool sessions_are_ours(struct ssl_ctx *ctx);

/* The program has freed its object, which lives on. */
void sessions_orphan(struct ssl *s);

#endif
