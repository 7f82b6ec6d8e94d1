/* SPDX-License-Identifier: ISC */
/* What belongs to the fd number and what to the socket under it. */
#define _GNU_SOURCE
#include "assume.h"

#include <fcntl.h>

#include "lib/older_libc.h"

static unsigned long long cookie(int fd)
{
    unsigned long long value = 0;
    socklen_t size = sizeof(value);

    check(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &value, &size) == 0 && value != 0, "SO_COOKIE");
    return value;
}

static void flags(int fd, int other)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 300);

    check(copy >= 300, "F_DUPFD_CLOEXEC gives a number from its minimum on");
    check(fcntl(copy, F_GETFD) == FD_CLOEXEC, "that is closed at exec");
    check(fcntl(copy, F_SETFL, O_NONBLOCK) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK),
          "O_NONBLOCK belongs to the socket");
    check(dup3(other, copy, 0) == copy && !(fcntl(copy, F_GETFL) & O_NONBLOCK),
          "and does not stay with the number");
    check(fcntl(copy, F_GETFD) == 0, "FD_CLOEXEC is as dup3 was told");
    close(copy);
}

static void identity(int fd, int other)
{
    unsigned long long mine = cookie(fd), others = cookie(other);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 300);

    check(mine != others, "each socket has a cookie of its own");
    check(cookie(copy) == mine, "copies share it");
    check(dup3(other, fd, 0) == fd && cookie(fd) == others, "a swap is seen by the cookie");
    check(dup3(copy, fd, 0) == fd && cookie(fd) == mine, "and so is its undoing");
    close(copy);
}

static void namespace_cookie(int fd)
{
    unsigned long long value = 0;
    socklen_t size = sizeof(value);

    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &value, &size) < 0)
        printf("note: SO_NETNS_COOKIE is not known here (%s)\n", strerror(errno));
    else
        check(value != 0, "SO_NETNS_COOKIE names the network namespace");
}

int main(void)
{
    int ours, theirs, other, far;

    tcp_pair(&ours, &theirs);
    tcp_pair(&other, &far);
    flags(ours, other);
    identity(ours, other);
    namespace_cookie(ours);
    return 0;
}
