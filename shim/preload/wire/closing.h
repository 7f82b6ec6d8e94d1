/* SPDX-License-Identifier: ISC */
/* closing: what a close means for a tracked socket, and how one is left to libc. */
#ifndef HOLDFAST_PRELOAD_CLOSING_H
#define HOLDFAST_PRELOAD_CLOSING_H

#include "preload/conn/conn.h"

/* The number is about to be closed, or replaced by dup2: parks what can be parked, sends what is held.  The
 * caller makes the real call next, if it can without leaving `c`, which is locked, and then takes the number
 * out of the table by closing_gone. */
void closing_number(struct conn *c, int fd);
void closing_gone(struct conn *c, int fd);

/* The program does something to the socket that cannot be followed.  Before an exchange: what is held
 * goes out and libc alone has the socket.  During one: it will not be pooled. */
void closing_leave_alone(struct conn *c, int fd, enum reason why);

/* Locked.  The same, and the socket is somebody else's, too: a copy of the number that nobody follows, or a ring. */
void closing_share(struct conn *c, int fd, enum reason why);

/* EXCHANGE: somebody will read the response who does not know where it ends: ends the sending side, so
 * that the server closes after it. */
void closing_ask_end(struct conn *c);

#endif
