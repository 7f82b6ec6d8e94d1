/* SPDX-License-Identifier: ISC */
/* moving: splice and sendfile from a tracked socket into a pipe.
 *
 * A body that goes through as it is (a Content-Length, or until the server's end) is moved by
 * the real call, which may be told to stop at the end of the body.  What must be edited or decoded is received as by any
 * other call and written to the pipe, a page at a time: a pipe with a free slot takes a page whole (pipe(7)).
 *
 * Who waits for what, and which flag counts where, is the kernel's answer (tests/assume/splice.c). */
#ifndef HOLDFAST_PRELOAD_MOVING_H
#define HOLDFAST_PRELOAD_MOVING_H

#include "preload/conn/conn.h"

#include <stdint.h>
#include <sys/types.h>

struct moving {
    int in, out;
    size_t len;
    unsigned flags; /* of splice(2) */
    bool sendfile;  /* it is that call */
};

/* Locked; released inside.  The socket is m.in.  Bytes, 0, -errno, or CONN_PLAIN: libc alone has the socket, or the call
 * changes nothing that we follow. */
ssize_t moving_from(struct conn *c, struct moving m);

#endif
