#include "preload/fds/socket.h"

#include "preload/libc/real.h"

#include <errno.h>
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
