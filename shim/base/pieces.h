/* SPDX-License-Identifier: ISC */
/* pieces: the buffers of one call (readv(2), sendmsg(2)). */
#ifndef HOLDFAST_BASE_PIECES_H
#define HOLDFAST_BASE_PIECES_H

#include <stddef.h>
#include <sys/uio.h>

/* How many bytes all of them have. */
static inline size_t pieces_total(const struct iovec *iov, size_t n)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += iov[i].iov_len;
    return total;
}

#endif
