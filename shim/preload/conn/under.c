/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/under.h"

#include "preload/conn/parking.h"
#include "preload/fds/bell.h"
#include "preload/fds/eof.h"
#include "preload/fds/private.h"
#include "preload/fds/socket.h"
#include "preload/share/idle.h"
#include "preload/libc/real.h"
#include "preload/self/self.h"

#include <errno.h>
#include <fcntl.h>

/* dup3 answers EBUSY while another thread's open is about to take the number (dup(2)).  A signal handler may
 * close the number at any moment: it does not come back then. */
static int put(const struct conn *c, int source, const struct conn_fd *where)
{
    int result;

    if (!conn_owns(c, where->fd))
        return 0;
    do
        result = real.dup3(source, where->fd, where->cloexec ? O_CLOEXEC : 0);
    while (result < 0 && (errno == EBUSY || errno == EINTR));
    if (result >= 0 && !conn_owns(c, where->fd))
        real.close(where->fd);
    return result < 0 ? -errno : 0;
}

int under_put(struct conn *c, int source)
{
    int saved = errno;
    int result = 0, i = 0;

    if (c->registrations.count)
        registrations_remove(&c->registrations);
    while (i < c->fds.count && (result = put(c, source, &c->fds.numbers[i])) == 0)
        i++;
    for (int k = 0; result < 0 && k < i; k++) /* number i still leads to the old one */
        put(c, c->fds.numbers[i].fd, &c->fds.numbers[k]);
    if (c->registrations.count && !c->registrations.held_back)
        registrations_restore(&c->registrations);
    if (result == 0) {
        c->fds.generation++;
        if (!self_alone())
            bell_ring(&c->polled);
    }
    errno = saved;
    return result;
}

static int end_for(const struct conn *c, bool trusted)
{
    if (c->after.reset == RESET_PENDING)
        return eof_socket_reset(c->to.family);
    return c->after.write_shut || c->after.reset != RESET_NOT ? eof_socket_hung_up(c->to.family)
                                                              : eof_socket(c->to.family, trusted);
}

void under_hang_up(struct conn *c)
{
    int end = c->copied || c->after.own_end || c->state == CONN_ENDED_UNSWAPPED ? -1 : end_for(c, false);

    if (end >= 0 && c->fds.count)
        under_put(c, end);
}

void under_reset(struct conn *c)
{
    c->after.reset = RESET_PENDING;
    under_hang_up(c);
}

void under_reset_told(struct conn *c)
{
    c->after.reset = RESET_TOLD;
    under_hang_up(c);
}

/* As the client has left its own socket. */
static void resemble(struct conn *c, int end)
{
    struct options set = c->options;
    int error;
    socklen_t len = sizeof error;

    set.bound = false; /* it is connected */
    options_apply(&set, end);
    if (c->after.lowat)
        real.setsockopt(end, SOL_SOCKET, SO_RCVLOWAT, &c->after.lowat, sizeof c->after.lowat);
    if (c->after.reset == RESET_TOLD)
        real.getsockopt(end, SOL_SOCKET, SO_ERROR, &error, &len);
    else if (c->after.write_shut)
        real.shutdown(end, SHUT_WR);
}

bool under_end_of_its_own(struct conn *c)
{
    if (c->after.own_end || c->copied) /* copies of the fd would stay with the one that is there */
        return c->after.own_end;
    int saved = errno;
    int end = eof_own(c->to.family, c->nonblocking, c->after.reset != RESET_NOT);

    if (end >= 0) {
        resemble(c, end);
        c->after.own_end = c->fds.count && under_put(c, end) == 0;
        real.close(end);
    }
    errno = saved;
    return c->after.own_end;
}

void under_end(struct conn *c, enum reason why)
{
    int saved = errno;
    int end = c->copied ? -1 : end_for(c, c->reused);

    if (c->use.inside) /* wakes those who wait for bytes that will never come */
        real.shutdown(c->fds.numbers[0].fd, SHUT_RDWR);
    bool watched = c->registrations.watched;
    c->registrations.watched = false;
    if (end < 0 || end == c->fds.private_fd || under_put(c, end) < 0) {
        if (watched)
            registrations_unwatch(&c->registrations);
        /* Copies of the fd share the socket: they all see its end. */
        real.shutdown(c->fds.numbers[0].fd, SHUT_RD);
        why = why != REASON_none ? why : REASON_duplicated;
    }
    c->reply.peeked_unread += c->reply.undiscarded;
    if (c->reply.peeked_unread && c->fds.private_fd >= 0 &&
        socket_discard(c->fds.private_fd, c->reply.peeked_unread) > 0)
        why = REASON_poisoned;
    c->reply.peeked_unread = c->reply.undiscarded = 0;
    if (why == REASON_none && c->fds.private_fd >= 0) /* not so in the child of a fork past libc */
        parking_park(c, true);
    conn_deferred_over(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    idle_forget_kept(&c->idle);
    errno = saved;
}
