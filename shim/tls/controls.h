/* SPDX-License-Identifier: ISC */
/* controls: the commands of SSL_ctrl and SSL_CTX_ctrl, by what they do.  One that is not known is none of these.  Pure. */
#ifndef HOLDFAST_TLS_CONTROLS_H
#define HOLDFAST_TLS_CONTROLS_H

#include <stdbool.h>

/* A question about the connection. */
bool controls_asks_connection(int cmd);

/* Allowed before the handshake. */
bool controls_is_harmless_before(int cmd);

/* A question about what the program has set. */
bool controls_only_asks(int cmd, long number);

#endif
