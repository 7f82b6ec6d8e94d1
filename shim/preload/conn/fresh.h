/* SPDX-License-Identifier: ISC */
/* fresh: makes a socket such as the client's own would be (its options, its bound address, connected to c->to), to be put under
 * the client's numbers. */
#ifndef HOLDFAST_PRELOAD_FRESH_H
#define HOLDFAST_PRELOAD_FRESH_H

#include "preload/conn/conn.h"

#include <stdbool.h>

enum fresh_how {
    FRESH_WAIT,       /* connected, however long that takes */
    FRESH_BY_SEND,    /* not connected: the first send does it (tcp(7), MSG_FASTOPEN), if the kernel can do that */
    FRESH_CONNECTING, /* a connect is under way */
};

/* Locked; released while waiting.  Makes one, the caller's: 0 with *fastopen saying whether the first send has to
 * connect; -ENOTSUP: there is none to be had; or an error as of fresh_late_error. */
int fresh_socket(struct conn *c, enum fresh_how how, int *fd, bool *fastopen);

/* No conn is needed.  Closes a socket of fresh_socket, whether its number is a private one (fds/private.h) or, where none was
 * left, an ordinary one. */
void fresh_close(int fd);

/* Locked.  As fresh_socket, neither connected nor connecting.  0, or -errno. */
int fresh_unconnected(struct conn *c, int *fd);

/* Locked; released while waiting.  Where no other socket can be had (descriptors, memory, a policy) the one under the
 * fds gives up its connection (connect(2): AF_UNSPEC) and makes another.  0, or an error as of fresh_late_error. */
int fresh_reconnect(struct conn *c, enum fresh_how how);

/* Locked. connect(2) to where c leads that never waits, whether the socket blocks or not. 0: connected or under way;
 * -errno. */
int fresh_connect_at_once(const struct conn *c, int fd);

/* The error of a connect that came later than the client's own, as a call on a connected socket may give
 * it: -ECONNRESET for one that no such call gives. */
int fresh_late_error(int error);

#endif
