/* SPDX-License-Identifier: ISC */
#include "preload/fds/socket.h"

#include "preload/libc/real.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

uint64_t socket_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;

    return real.getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

bool socket_cookie_unknown(void)
{
    return errno && errno != EBADF && errno != ENOTSOCK;
}

bool socket_is_end(ssize_t n)
{
    switch (-n) {
    case 0:
    case ECONNABORTED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOTCONN:
    case EPIPE:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

bool socket_was_reset(int fd)
{
    struct pollfd p = { .fd = fd, .events = 0 };

    return real.poll(&p, 1, 0) > 0 && p.revents & POLLERR;
}

/* tcp(7): MSG_TRUNC discards.  The bytes are there: what fails may not fail again. */
size_t socket_discard(int fd, size_t len)
{
    for (int tries = 0; len && tries < 4;) {
        ssize_t n = real.recv(fd, NULL, len, MSG_TRUNC | MSG_DONTWAIT);
        if (n == 0)
            return 0; /* the connection has lost them */
        if (n > 0)
            len -= (size_t)n;
        else if (tries++, socket_is_end(-errno))
            break;
    }
    return len;
}
