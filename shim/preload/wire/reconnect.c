/* SPDX-License-Identifier: ISC */
#include "preload/wire/reconnect.h"

#include "preload/conn/connecting.h"
#include "preload/conn/deferred.h"
#include "preload/conn/event.h"
#include "preload/conn/swap.h"
#include "preload/fds/options.h"
#include "preload/libc/real.h"
#include "preload/wire/closing.h"
#include "preload/wire/release.h"

#include <errno.h>

/* The client gives up its connection.  Under an ended number lies a socket that others share, but for an end that is
 * owed: that is the connection still. */
static int disconnect(struct conn *c, int fd)
{
    conn_make_ready(c, NEED_ALL_BUT_END);
    conn_wait_reconnected(c);
    if (c->fds.count == 0)
        return CONN_PLAIN;
    if (c->state == CONN_ENDED && !c->copied && swap_unconnected(c) < 0)
        return -ENOBUFS;
    if (c->state == CONN_ENDED_UNSWAPPED)
        options_slow(&c->options, fd);
    conn_deferred_over(c);
    if (c->state == CONN_FRESH && hold_len(&c->request.bytes))
        release_held(c, fd);
    conn_bypass(c, REASON_odd_descriptor);
    return CONN_PLAIN;
}

int reconnect_again(struct conn *c, int fd, const struct sockaddr *to, socklen_t len)
{
    if (conn_is_new(c) || connecting_is_bad(to, len))
        return CONN_PLAIN;
    if (connecting_is_nowhere(to, len))
        return disconnect(c, fd);
    if (c->state == CONN_FRESH) {
        if (c->use.inside)
            closing_leave_alone(c, fd, REASON_busy_thread);
        return CONN_PLAIN;
    }
    bool pending = c->opening.connect_pending;
    c->opening.connect_pending = false;
    if (pending && c->nonblocking && !c->reused) { /* should libc alone have it later, it is to know that the client was told */
        int saved = errno;
        real.connect(fd, to, len);
        errno = saved;
    }
    return pending ? 0 : -EISCONN;
}

int reconnect_by_send(struct conn *c, int fd, int flags, const struct sockaddr *to, socklen_t len)
{
    if (connecting_is_nowhere(to, len))
        return conn_is_new(c) ? CONN_PLAIN : -EOPNOTSUPP;
    if (c->state == CONN_FRESH) {
        closing_leave_alone(c, fd, REASON_odd_descriptor);
        return CONN_PLAIN;
    }
    if (!conn_is_new(c))
        return reconnect_again(c, fd, to, len);
    if (connecting_lease(c, to, len) == 0) {
        c->opening.connect_pending = c->nonblocking || flags & MSG_DONTWAIT;
        return 0;
    }
    if (c->fds.count == 0)
        return CONN_PLAIN;
    connecting_fresh(c);
    conn_event(c, EVENT_OPENED, REASON_none);
    c->request.by_send = BY_SEND_CLIENTS_OWN;
    return 0;
}
