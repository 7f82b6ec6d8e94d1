/* SPDX-License-Identifier: ISC */
/* closing: what a close means for a tracked socket, and how one is left to libc. */
#ifndef HOLDFAST_PRELOAD_CLOSING_H
#define HOLDFAST_PRELOAD_CLOSING_H

#include "preload/conn/conn.h"

/* Locked; released while it sends.  fd, a number of c, is about to be closed, or replaced by dup2.  If it is the last one:
 * sends what is withheld, parks the connection if it can be parked, and closes c's private fd.  errno is left alone.  The
 * caller makes the real call next, without unlocking c, and then calls closing_gone. */
void closing_number(struct conn *c, int fd);

/* Locked.  After closing_number and the real call: fd leaves the table. */
void closing_gone(struct conn *c, int fd);

/* Locked; released while it sends.  The program does something to the socket that the library cannot follow; `why` says what,
 * for the log.  Before an exchange: what is withheld goes out, and libc alone has the socket.  During one: the connection
 * will not be parked.  errno is left alone. */
void closing_leave_alone(struct conn *c, int fd, enum reason why);

/* Locked; released while it sends.  As closing_leave_alone, and somebody else has the socket from here on as well: another
 * process, or an io_uring.  No other socket will be put under the numbers. */
void closing_share(struct conn *c, int fd, enum reason why);

/* Locked.  EXCHANGE, and the request went out whole: the response will be read by somebody who does not know where it ends. 
 * Ends the sending side, so that the server closes behind the response. */
void closing_ask_end(struct conn *c);

#endif
