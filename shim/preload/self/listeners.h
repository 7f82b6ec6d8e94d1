/* SPDX-License-Identifier: ISC */
/* listeners: the ports that this process listens on.
 *
 * A program that connects over loopback to a port of its own (a test suite, a server that calls itself) may wait
 * until its own server has seen the end of that connection: a thread that serves one connection at a time, a join,
 * the wait for a child.  Nothing that the library sees would wake it.  So such a connection is left to libc.
 *
 * The ports are inherited across fork, as the listening sockets are.  A port is never forgotten: if another program
 * listens on it later, that costs handshakes and nothing else. */
#ifndef HOLDFAST_PRELOAD_LISTENERS_H
#define HOLDFAST_PRELOAD_LISTENERS_H

#include "pool/endpoint.h"

#include <stdbool.h>

/* `fd` listens from now on.  Anything that is no IP socket is passed over. */
void listeners_note(int fd);

/* Does `to` lead over loopback to a port of this process? */
bool listeners_has(const struct endpoint *to);

#endif
