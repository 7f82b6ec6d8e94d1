/* SPDX-License-Identifier: ISC */
/* eof: the end-of-file socket.  One a process and family, made when first needed: our end of a
 * loopback TCP connection whose far end did SHUT_WR and stays open.  Reads on it give 0 for ever, poll
 * says IN|OUT|RDHUP without HUP, as on any connection that its peer has ended. */
#ifndef HOLDFAST_PRELOAD_EOF_H
#define HOLDFAST_PRELOAD_EOF_H

#include <stdbool.h>

/* A private fd to dup from, or -1.  Where there is no loopback, a socket that was never connected and
 * is shut down stands in: it reads as an end of file, too, but says POLLHUP.  `trusted`: a moment ago
 * another one of our numbers was still what we had put there, so that this one is not asked again. */
int eof_socket(int family, bool trusted);

/* The same for a client that has ended its sending side, too: POLLHUP, as where both sides have ended
 * (tests/assume/never_connected.c). */
int eof_socket_hung_up(int family);

/* The same for a client that has sent something after its peer had closed: the answer to that was a reset.  Waits say
 * POLLERR and POLLHUP besides, for as long as nothing takes the error (tests/assume/reset_after_end.c). */
int eof_socket_reset(int family);

/* Not locked.  One of its own, which is the caller's to close, or -1: in nothing different from a connection that its peer has
 * closed but for its names.  `reset`: something was sent on it, and answered by a reset. */
int eof_own(int family, bool nonblocking, bool reset);

#endif
