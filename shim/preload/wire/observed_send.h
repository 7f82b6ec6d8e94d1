/* SPDX-License-Identifier: ISC */
/* observed_send: what an observed client sends (preload/wire/observed.h).  Of a locked conn in OBSERVED. */
#ifndef HOLDFAST_PRELOAD_OBSERVED_SEND_H
#define HOLDFAST_PRELOAD_OBSERVED_SEND_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* As send_pieces. */
ssize_t observed_send(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

/* Libc alone has the socket from here on if nobody can follow it any more. */
void observed_leave_if_lost(struct conn *c);

/* Shows `len` bytes of the pieces. */
static inline void observed_show(struct conn *c, const struct iovec *iov, int n, size_t len,
                                 void (*follow)(struct conn *c, const char *bytes, size_t len))
{
    for (int i = 0; i < n && len && c->x.kind == EXCHANGE_OBSERVED; i++) {
        size_t part = iov[i].iov_len < len ? iov[i].iov_len : len;
        if (part)
            follow(c, iov[i].iov_base, part);
        len -= part;
    }
    observed_leave_if_lost(c);
}

#endif
