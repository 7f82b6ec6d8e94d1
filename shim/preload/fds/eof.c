/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/fds/eof.h"

#include "preload/fds/private.h"
#include "preload/libc/real.h"
#include "preload/fds/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NONE UINT64_MAX

/* Each for AF_INET, and behind it for AF_INET6. */
enum { ENDED = 0, HUNG_UP = 2, RESET = 4, KINDS = 6, RESET_MS = 1000 };

/* See named. */
static _Atomic uint64_t ours[KINDS] = { NONE, NONE, NONE, NONE, NONE, NONE };
static atomic_int far_end[KINDS] = { -1, -1, -1, -1, -1, -1 };

/* An fd, and which socket it is: it has to be still that one. */
static uint64_t named(int fd)
{
    return socket_cookie(fd) << 32 | (uint32_t)fd;
}

static socklen_t loopback(int family, struct sockaddr_storage *address)
{
    memset(address, 0, sizeof *address);
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)address;
        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    in6->sin6_family = AF_INET6;
    in6->sin6_addr = in6addr_loopback;
    return sizeof *in6;
}

/* Somebody else may connect to the listening end in between: take only the connection whose peer is
 * our own end. */
static int accept_own(int listener, int client)
{
    struct sockaddr_storage mine, theirs;
    socklen_t mine_len = sizeof mine;

    memset(&mine, 0, sizeof mine);
    if (real.getsockname(client, (struct sockaddr *)&mine, &mine_len) != 0)
        return -1;
    for (int tries = 0; tries < 8; tries++) {
        socklen_t len = sizeof theirs;
        memset(&theirs, 0, sizeof theirs);
        int fd = real.accept4(listener, (struct sockaddr *)&theirs, &len, SOCK_CLOEXEC);
        if (fd < 0)
            return -1;
        if (len == mine_len && memcmp(&mine, &theirs, len) == 0)
            return fd;
        real.close(fd);
    }
    return -1;
}

/* Both ends; 0 or -1. */
static int make_pair(int family, int ends[2])
{
    struct sockaddr_storage address;
    socklen_t len = loopback(family, &address);
    int listener = real.socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ends[0] = ends[1] = -1;
    if (listener < 0)
        return -1;
    if (real.bind(listener, (struct sockaddr *)&address, len) == 0 && real.listen(listener, 8) == 0 &&
        real.getsockname(listener, (struct sockaddr *)&address, &len) == 0) {
        ends[0] = real.socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (ends[0] >= 0 && real.connect(ends[0], (struct sockaddr *)&address, len) == 0)
            ends[1] = accept_own(listener, ends[0]);
    }
    real.close(listener);
    if (ends[1] >= 0 && real.shutdown(ends[1], SHUT_WR) == 0)
        return 0;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            real.close(ends[i]);
    return -1;
}

/* What is sent to a closed end is answered by a reset.  0 or -1. */
static int reset_pair(int ends[2])
{
    struct pollfd wait = { .fd = ends[0], .events = 0 };
    char byte = 0;

    real.close(ends[1]);
    ends[1] = -1;
    if (real.send(ends[0], &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 && real.poll(&wait, 1, RESET_MS) == 1 &&
        wait.revents & POLLERR)
        return 0;
    real.close(ends[0]);
    return -1;
}

static int make(int family, int slot)
{
    bool hung_up = slot >= HUNG_UP && slot < RESET;
    int ends[2];

    if (hung_up || make_pair(family, ends) != 0 || (slot >= RESET && reset_pair(ends) != 0)) {
        ends[1] = -1;
        ends[0] = real.socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (ends[0] < 0)
            return -1;
        real.shutdown(ends[0], SHUT_RDWR); /* answers ENOTCONN, and takes effect all the same */
    }
    int fd = private_move(ends[0]);
    int far = ends[1] >= 0 && fd >= 0 ? private_move(ends[1]) : -1;
    if (fd < 0)
        real.close(ends[0]);
    if (far < 0 && ends[1] >= 0)
        real.close(ends[1]); /* reset: reads still end, with an error at worst on the first */
    uint64_t none = NONE;
    if (fd >= 0 && !atomic_compare_exchange_strong(&ours[slot], &none, named(fd))) {
        private_close(fd); /* another thread was first */
        private_close(far);
        return (int)(uint32_t)atomic_load(&ours[slot]);
    }
    atomic_store(&far_end[slot], far);
    return fd;
}

static int find(int family, int slot, bool trusted)
{
    int saved = errno;
    uint64_t known = atomic_load(&ours[slot]);
    int fd = (int)(uint32_t)known;

    errno = 0;
    if (known == NONE || !private_is(fd) || (!trusted && named(fd) != known && !socket_cookie_unknown())) {
        /* Not there, or closed where we did not see it: under its number may be another one of ours. */
        atomic_compare_exchange_strong(&ours[slot], &known, NONE);
        fd = make(family, slot);
    }
    errno = saved;
    return fd;
}

int eof_socket(int family, bool trusted)
{
    return find(family, (family != AF_INET) + ENDED, trusted);
}

int eof_own(int family, bool nonblocking, bool reset)
{
    int ends[2];

    if (make_pair(family, ends) != 0 || (reset && reset_pair(ends) != 0))
        return -1;
    if (!reset)
        real.close(ends[1]);
    if (nonblocking)
        real.fcntl(ends[0], F_SETFL, (void *)(intptr_t)(O_RDWR | O_NONBLOCK));
    return ends[0];
}

int eof_socket_hung_up(int family)
{
    return find(family, (family != AF_INET) + HUNG_UP, false);
}

int eof_socket_reset(int family)
{
    return find(family, (family != AF_INET) + RESET, false);
}
