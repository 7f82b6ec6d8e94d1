/* Under _GNU_SOURCE some of these take a union instead of a pointer. */
#define _GNU_SOURCE
#include "pool/tree.h"

#include <unistd.h>

static int bind_plain(int fd, const struct sockaddr *name, socklen_t len)
{
    return bind(fd, name, len);
}

static int connect_plain(int fd, const struct sockaddr *name, socklen_t len)
{
    return connect(fd, name, len);
}

static int getsockname_plain(int fd, struct sockaddr *name, socklen_t *len)
{
    return getsockname(fd, name, len);
}

const struct tree_calls tree_calls_plain = {
    .socket = socket,
    .bind = bind_plain,
    .connect = connect_plain,
    .getsockname = getsockname_plain,
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
