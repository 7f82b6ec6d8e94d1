/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/fds/confined.h"

#include "preload/libc/real.h"

#include <errno.h>
#include <sys/prctl.h>

atomic_bool confined_perhaps;

void confined_start(void)
{
    int saved = errno;

    if (real.prctl(PR_GET_NO_NEW_PRIVS, 0UL, 0UL, 0UL, 0UL) != 0) /* or the call itself is denied */
        confined_note();
    errno = saved;
}

bool confined_asks(int fd, const struct sockaddr *to, socklen_t len)
{
    int saved = errno;
    int result = real.connect(fd, to, len);
    bool allowed = result == 0 || errno == EISCONN;
    errno = saved;
    return allowed;
}
