/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/fresh.h"

#include "preload/libc/cancel.h"
#include "preload/conn/path.h"
#include "preload/self/identity.h"
#include "preload/fds/private.h"
#include "preload/libc/real.h"
#include "preload/conn/refused.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>

#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif

int fresh_late_error(int error)
{
    switch (-error) {
    case 0:
    case EBADF:
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOBUFS:
    case ENOMEM:
    case ETIMEDOUT:
        return error;
    default:
        return -ECONNRESET;
    }
}

/* An interrupted connect goes on by itself (connect(2)). */
static int await_connection(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLOUT };
    int error = 0;
    socklen_t len = sizeof error;

    while (real.poll(&wait, 1, -1) < 0 && errno == EINTR)
        ;
    return real.getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? -error : -errno;
}

/* Not under a low number: a thread may still use one that another has closed, and would talk on this. */
static int own_socket(int family, bool nonblocking)
{
    int fd = real.socket(family, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    int moved = fd < 0 ? -1 : private_move(fd);

    return moved < 0 ? fd : moved;
}

void fresh_close(int fd)
{
    if (private_is(fd))
        private_close(fd);
    else
        real.close(fd);
}

/* A connect instead of a lease was refused: the lease may be why. */
static int connect_again(struct conn *c, int fd)
{
    const struct endpoint to = c->to;
    bool leased = conn_is_leased(c) && c->fds.private_fd >= 0;

    if (leased)
        real.shutdown(c->fds.private_fd, SHUT_RDWR);
    conn_outside_begin(c);
    int result = refused_again(&to, leased, fd, (const struct sockaddr *)&c->peer, c->peer_len) == 0 ? 0 : -errno;
    conn_outside_end(c);
    return result;
}

/* Of a connect: 0, or what the client is told; -ENOTSUP: somebody else has taken the number. */
static int outcome(int result)
{
    if (result == -EBADF || result == -ENOTSOCK)
        return -ENOTSUP;
    return result == -EINPROGRESS || result == -EINTR ? 0 : fresh_late_error(result);
}

/* What another thread has set on the client's number meanwhile. */
static void catch_up(const struct conn *c, int fd, uint64_t options, bool nonblocking)
{
    if (options_hash(&c->options) != options)
        options_apply(&c->options, fd); /* but for its name, which it has */
    if (c->nonblocking != nonblocking)
        real.fcntl(fd, F_SETFL, (void *)(intptr_t)(O_RDWR | (c->nonblocking ? O_NONBLOCK : 0)));
}

/* The lock is not held while a connect may take its time.  Nobody would close the socket for a thread that
 * is cancelled there: that has to wait. */
static int connect_outside(struct conn *c, int fd)
{
    unsigned generation = c->fds.generation;
    const bool nonblocking = c->nonblocking;
    const uint64_t options = options_hash(&c->options);
    int state = c->use.cancel, result = 0;

    if (state != CANCEL_ALONE)
        c->use.cancel = PTHREAD_CANCEL_DISABLE;
    c->use.reconnecting = conn_self();
    conn_outside_begin(c);
    if (real.connect(fd, (const struct sockaddr *)&c->peer, c->peer_len) != 0)
        result = -errno;
    if (result == -EINTR && !nonblocking)
        result = await_connection(fd);
    conn_outside_end(c);
    if (result == -ECONNREFUSED && !nonblocking && c->fds.generation == generation && c->fds.count)
        result = connect_again(c, fd);
    c->use.reconnecting = NULL;
    c->use.cancel = state;
    if (c->fds.generation != generation || c->fds.count == 0)
        return -EBADF; /* closed by another thread meanwhile */
    catch_up(c, fd, options, nonblocking);
    return outcome(result);
}

int fresh_connect_at_once(const struct conn *c, int fd)
{
    int flags = c->nonblocking ? 0 : real.fcntl(fd, F_GETFL);

    if (!c->nonblocking)
        real.fcntl(fd, F_SETFL, (void *)(intptr_t)(flags | O_NONBLOCK));
    int result = real.connect(fd, (const struct sockaddr *)&c->peer, c->peer_len) == 0 ? 0 : -errno;
    if (!c->nonblocking)
        real.fcntl(fd, F_SETFL, (void *)(intptr_t)flags);
    return result == -EINPROGRESS || result == -EINTR ? 0 : result;
}

static int make_connection(struct conn *c, enum fresh_how how, int fd)
{
    if (how == FRESH_WAIT)
        return connect_outside(c, fd);
    return outcome(fresh_connect_at_once(c, fd));
}

int fresh_socket(struct conn *c, enum fresh_how how, int *fd, bool *fastopen)
{
    int on = 1, result = 0;

    *fastopen = false;
    *fd = own_socket(c->to.family, c->nonblocking);
    if (*fd < 0)
        return -ENOTSUP;
    if (!identity_fits(&c->to, *fd) || options_apply(&c->options, *fd) < 0)
        result = -ENOTSUP; /* made here and now it would lead elsewhere, or be somebody else's */
    else if (how == FRESH_BY_SEND)
        *fastopen = real.setsockopt(*fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof on) == 0;
    if (result == 0 && !*fastopen)
        result = make_connection(c, how, *fd);
    if (result < 0)
        fresh_close(*fd);
    return result;
}

int fresh_unconnected(struct conn *c, int *fd)
{
    *fd = own_socket(c->to.family, c->nonblocking);
    if (*fd < 0)
        return -errno;
    int result = options_apply(&c->options, *fd);
    if (result < 0)
        fresh_close(*fd);
    return result;
}

int fresh_reconnect(struct conn *c, enum fresh_how how)
{
    const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
    path_unguard(c);
    int fd = c->fds.private_fd >= 0 ? c->fds.private_fd : c->fds.numbers[0].fd; /* not one that a thread may close */

    if (c->use.inside || real.connect(fd, &nowhere, sizeof nowhere) != 0)
        return -ECONNRESET;
    int result = make_connection(c, how, fd);
    if (result < 0) {
        private_close(c->fds.private_fd);
        c->fds.private_fd = -1;
        return fresh_late_error(result);
    }
    c->fds.generation++;
    return 0;
}
