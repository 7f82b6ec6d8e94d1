#define _GNU_SOURCE
#include "preload/swap.h"

#include "base/stats.h"
#include "preload/cancel.h"
#include "preload/owed.h"
#include "preload/eof.h"
#include "preload/idle.h"
#include "preload/incoming.h"
#include "preload/private.h"
#include "preload/process.h"
#include "preload/real.h"
#include "preload/shared.h"
#include "preload/spare.h"
#include "preload/tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>

#ifndef TCP_FASTOPEN_NO_COOKIE
#define TCP_FASTOPEN_NO_COOKIE 34
#endif

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

int swap_under(struct conn *c, int source)
{
    int saved = errno;
    int result = 0, i = 0;

    registrations_remove(&c->registrations);
    while (i < c->nfds && (result = put(c, source, &c->fds[i])) == 0)
        i++;
    for (int k = 0; result < 0 && k < i; k++) /* number i still leads to the old one */
        put(c, c->fds[i].fd, &c->fds[k]);
    registrations_restore(&c->registrations);
    if (result == 0)
        c->generation++;
    errno = saved;
    return result;
}

/* A reference to the client's own fresh socket, for the next socket(2), if nothing was done to it; or -1. */
static int take_own(struct conn *c)
{
    if (c->private_fd < 0)
        c->spare = (struct spare){ .nonblocking = c->nonblocking };
    bool pristine = c->options.count == 0 && !c->options.bound;
    int fd = c->private_fd;

    c->private_fd = -1;
    if (pristine)
        return fd >= 0 ? fd : private_dup(c->fds[0].fd);
    private_close(fd);
    return -1;
}

/* As pool_lease; one that ends while it is waited for is taken for the server's habit. */
static int lease(struct conn *c, const struct wanted *wanted, struct idle *out, enum reason *why)
{
    int result = pool_lease(&c->to, wanted, out, why);

    if (result != 0 && atomic_load(&owed_count)) { /* what is owed may be what is wanted */
        owed_settle_all();
        result = pool_lease(&c->to, wanted, out, why);
    }
    if (result != 0)
        result = shared_lease(c, wanted, out, why);
    if (result != 0)
        return result;
    if (!out->proven && !idle_wait_for_proof(out)) {
        pool_note_closed(&c->to, 0);
        *why = REASON_closer;
    } else if (idle_match_blocking(c, out)) {
        return 0;
    } else {
        *why = REASON_odd_descriptor;
    }
    private_close(out->fd);
    return -ENOENT;
}

int swap_lease(struct conn *c)
{
    struct idle idle;
    enum reason why = REASON_none;
    const struct wanted anything = { .any = true };

    if (lease(c, &anything, &idle, &why) != 0) {
        conn_note(c, why);
        return -ENOENT;
    }
    int own = take_own(c);
    int result = swap_under(c, idle.fd);
    if (result < 0) {
        private_close(idle.fd);
        c->private_fd = own;
        return result;
    }
    if (own >= 0)
        spare_give(c->to.family, own, c->spare);
    c->spare = (struct spare){ .unsettled = false };
    idle_adopt(c, &idle);
    conn_set_state(c, CONN_LEASED);
    stats_count(leased);
    tracing_note(c, TRACE_lease);
    return 0;
}

/* Gives the idle connection under a LEASED conn back. */
static void give_back(struct conn *c, bool keep)
{
    if (keep && !c->shared && !c->inside && c->private_fd >= 0) {
        idle_park(c, false);
    } else {
        /* Wakes those who wait on it, they look again; and a child's copy does not withhold the end. */
        if (c->inside || (idle_forked && !c->shared))
            real.shutdown(c->private_fd, SHUT_RDWR);
        private_close(c->private_fd);
        c->private_fd = -1;
    }
}

int swap_exchange_lease(struct conn *c, bool healthy)
{
    struct wanted wanted = {
        .absolute = c->x.request.absolute,
        .host = c->x.request.host,
        .proxy_auth = c->x.request.proxy_auth,
    };
    struct idle idle;
    enum reason why = REASON_none;

    if (lease(c, &wanted, &idle, &why) != 0) {
        bool form = wanted.absolute != c->idle.absolute || wanted.proxy_auth != c->idle.proxy_auth;
        if (why == REASON_pool_empty) /* but for the one that it has got */
            why = form ? REASON_other_form : REASON_other_host;
        if (healthy)
            conn_note(c, why);
        return swap_rehome(c, healthy);
    }
    if (swap_under(c, idle.fd) < 0) {
        private_close(idle.fd);
        return swap_rehome(c, healthy);
    }
    give_back(c, healthy);
    idle_adopt(c, &idle);
    options_apply(&c->options, c->private_fd);
    options_hasten(c->private_fd);
    return 0;
}

int swap_late_error(int error)
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

static void close_own(int fd)
{
    if (private_is(fd))
        private_close(fd);
    else
        real.close(fd);
}

/* The lock is not held while a connect may take its time.  Nobody would close the socket for a thread that
 * is cancelled there: that has to wait. */
static int connect_outside(struct conn *c, int fd)
{
    unsigned generation = c->generation;
    bool nonblocking = c->nonblocking;
    int state = c->cancel, result = 0;

    if (state != CANCEL_ALONE)
        c->cancel = PTHREAD_CANCEL_DISABLE;
    c->homing = conn_self();
    conn_outside_begin(c);
    if (real.connect(fd, (const struct sockaddr *)&c->peer, c->peer_len) != 0)
        result = -errno;
    if (result == -EINTR && !nonblocking)
        result = await_connection(fd);
    conn_outside_end(c);
    c->homing = NULL;
    c->cancel = state;
    if (c->generation != generation || c->nfds == 0)
        return -EBADF; /* closed by another thread meanwhile */
    if (result == -EBADF || result == -ENOTSOCK)
        return -ENOTSUP; /* somebody else has taken the number */
    return result == -EINPROGRESS || result == -EINTR ? 0 : swap_late_error(result);
}

/* Makes a socket like the client's own would be: connected if the client may wait for that, with fast
 * open prepared if not.  0, or -errno; -ENOTSUP: there is none to be had. */
static int fresh_socket(struct conn *c, int *fd, bool *fastopen)
{
    int on = 1, result = 0;

    *fastopen = false;
    *fd = own_socket(c->to.family, c->nonblocking);
    if (*fd < 0)
        return -ENOTSUP;
    if (options_apply(&c->options, *fd) < 0)
        result = -ENOTSUP;
    else if (c->nonblocking)
        *fastopen = real.setsockopt(*fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof on) == 0;
    if (result == 0 && !*fastopen)
        result = connect_outside(c, *fd);
    if (result < 0)
        close_own(*fd);
    return result;
}

/* Where no other socket can be had (descriptors, memory, a policy) the one under the fds gives up its
 * connection (connect(2): AF_UNSPEC) and makes another. */
static int reconnect(struct conn *c)
{
    const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
    int fd = c->private_fd >= 0 ? c->private_fd : c->fds[0].fd; /* not one that a thread may close */

    if (c->inside || real.connect(fd, &nowhere, sizeof nowhere) != 0)
        return -ECONNRESET;
    int result = connect_outside(c, fd);
    if (result < 0) {
        private_close(c->private_fd);
        c->private_fd = -1;
        return swap_late_error(result);
    }
    c->generation++;
    return 0;
}

static int replace(struct conn *c, bool keep, bool *fastopen)
{
    int fd, result = fresh_socket(c, &fd, fastopen);

    if (result == 0) {
        result = swap_under(c, fd) == 0 ? 0 : -ENOTSUP;
        close_own(fd);
        if (result == 0)
            give_back(c, keep);
    }
    if (result != -ENOTSUP)
        return result;
    *fastopen = false;
    return reconnect(c);
}

int swap_rehome(struct conn *c, bool keep)
{
    int saved = errno;
    bool fastopen;
    int result = c->nfds ? replace(c, keep, &fastopen) : -EBADF;

    errno = saved;
    if (result < 0)
        return result;
    c->fastopen = fastopen;
    if (c->reused) {
        stats_uncount(leased);
        tracing_note(c, TRACE_return);
    }
    tracing_note(c, TRACE_open);
    c->reused = false;
    c->idle = (struct idle){ .fd = -1, .max_left = -1, .opened_ms = idle_now_ms() };
    if (c->state == CONN_LEASED)
        conn_set_state(c, CONN_FRESH);
    stats_count(fresh);
    return 0;
}

/* Why the connection must not be pooled, or REASON_none. */
static enum reason obstacle(const struct conn *c)
{
    enum reason why = exchange_verdict(&c->x);

    if (why == REASON_none)
        why = c->unparkable;
    if (why == REASON_none && c->shared)
        why = REASON_duplicated;
    if (why == REASON_none && c->inside)
        why = REASON_busy_thread;
    return why;
}

/* Another thread has closed the last number: the numbers that c knows may be somebody else's by now. */
static void end_closed(struct conn *c)
{
    conn_set_state(c, CONN_ENDED);
    conn_note(c, REASON_busy_thread);
    c->queued = 0;
    hold_clear(&c->request);
}

void swap_end(struct conn *c)
{
    if (c->nfds == 0 || !conn_owns(c, c->fds[0].fd)) {
        end_closed(c);
        return;
    }
    int saved = errno;
    bool ours = process_is_ours(); /* or it is marked as shared by this look */
    enum reason why = ours ? obstacle(c) : REASON_crossed_fork;

    idle_remember_name(c);
    if (why == REASON_none && c->private_fd < 0) {
        c->private_fd = private_dup(c->fds[0].fd);
        if (c->private_fd < 0)
            why = REASON_no_private_fd;
    }
    if (c->queued && c->private_fd < 0)
        c->private_fd = private_dup(c->fds[0].fd);
    conn_set_state(c, CONN_ENDED);
    if (why != REASON_none)
        conn_note(c, why);
    if (why != REASON_none || !owed_end(c))
        swap_finish(c, why);
    hold_clear(&c->request);
    errno = saved;
}

void swap_finish(struct conn *c, enum reason why)
{
    int saved = errno;
    int end = c->shared ? -1 : eof_socket(c->to.family, c->reused);

    if (c->inside) /* wakes those who wait for bytes that will never come */
        real.shutdown(c->fds[0].fd, SHUT_RDWR);
    if (end < 0 || end == c->private_fd || swap_under(c, end) < 0) {
        /* Copies of the fd share the socket: they all see its end. */
        real.shutdown(c->fds[0].fd, SHUT_RD);
        why = why != REASON_none ? why : REASON_duplicated;
    }
    c->queued += c->owed;
    if (c->queued && c->private_fd >= 0 && incoming_discard(c->private_fd, c->queued) > 0)
        why = REASON_poisoned;
    c->queued = c->owed = 0;
    if (why == REASON_none && c->private_fd >= 0) /* not so in the child of a fork past libc */
        idle_park(c, true);
    owed_done(c);
    private_close(c->private_fd);
    c->private_fd = -1;
    errno = saved;
}
