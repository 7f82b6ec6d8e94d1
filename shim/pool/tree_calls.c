/* SPDX-License-Identifier: ISC */
/* No _GNU_SOURCE here: with it, some of these take a union instead of a pointer.  dup3 alone needs it. */
#include "pool/tree.h"

#include <unistd.h>

int dup3(int from, int to, int flags);

const struct tree_calls tree_calls_plain = {
    .socket = socket,
    .bind = bind,
    .connect = connect,
    .getsockname = getsockname,
    .getsockopt = getsockopt,
    .setsockopt = setsockopt,
    .sendmsg = sendmsg,
    .recvmsg = recvmsg,
    .recv = recv,
    .dup3 = dup3,
    .shutdown = shutdown,
    .close = close,
    .poll = poll,
};
