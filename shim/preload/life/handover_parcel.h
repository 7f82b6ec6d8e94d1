/* SPDX-License-Identifier: ISC */
/* handover_parcel: what handover.c writes and handover_unpack.c reads: a memfd with a parcel for each exchange. */
#ifndef HOLDFAST_PRELOAD_HANDOVER_PARCEL_H
#define HOLDFAST_PRELOAD_HANDOVER_PARCEL_H

#include "base/version.h"
#include "preload/conn/conn.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* NUMBER,FIRST,KEEPER: the memfd's; the first number that a parcel is about, or -1; 0, or the process that has the
 * memfd, from which it is to be fetched. */
#define HANDOVER_VARIABLE "HOLDFAST_HANDOVER"
#define HANDOVER_MEMFD "holdfast-" HOLDFAST_VERSION

enum { FDS_SEEN = 256 }; /* higher numbers are not looked at for inherited sockets */

/* One conn; the held bytes of both directions follow. */
struct parcel {
    uint32_t size; /* of this struct: another build is not read */
    int number;    /* that leads to the socket, as far as is known; or -1 */
    uint64_t cookie;
    enum conn_state state; /* EXCHANGE_PARTLY_SENT, EXCHANGE, or ENDED with held bytes */
    bool nonblocking, reused;
    struct conn_request request; /* in both, what is a pointer leads nowhere there */
    struct conn_reply reply;
    struct conn_after after;
    struct exchange x;
    struct endpoint to;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    struct idle idle;
    size_t response_len; /* request.bytes.end bytes of the request come first */
};

/* Moves `len` bytes to or from a file, in as many calls of `once` (write(2), pread(2)) as that takes.  False: an error, or
 * the file's end. */
static inline bool parcel_move(ssize_t (*once)(void *file, char *bytes, size_t len), void *file, char *bytes, size_t len)
{
    while (len) {
        ssize_t n = once(file, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

#endif
