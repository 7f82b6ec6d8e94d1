#define _GNU_SOURCE
#include "preload/swap.h"

#include "base/stats.h"
#include "preload/eof.h"
#include "preload/idle.h"
#include "preload/incoming.h"
#include "preload/private.h"
#include "preload/process.h"
#include "preload/real.h"
#include "preload/shared.h"
#include "preload/spare.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
    int result = 0;

    registrations_remove(&c->registrations);
    for (int i = 0; i < c->nfds && result == 0; i++)
        result = put(c, source, &c->fds[i]);
    registrations_restore(&c->registrations);
    c->generation++;
    errno = saved;
    return result;
}

/* The client's own fresh socket is kept for the next socket(2), if nothing was done to it. */
static void keep_spare(struct conn *c)
{
    bool pristine = c->options.count == 0 && !c->options.bound;
    int fd = c->private_fd;

    c->private_fd = -1;
    if (!pristine) {
        private_close(fd);
        return;
    }
    if (fd < 0)
        fd = private_dup(c->fds[0].fd);
    if (fd >= 0)
        spare_give(c->to.family, fd, c->nonblocking);
}

/* As pool_lease; one that ends while it is waited for is taken for the server's habit. */
static int lease(struct conn *c, const struct wanted *wanted, struct idle *out, enum reason *why)
{
    int result = pool_lease(&c->to, wanted, out, why);

    if (result != 0)
        result = shared_lease(c, wanted, out, why);
    if (result != 0 || out->proven || idle_wait_for_proof(out))
        return result;
    private_close(out->fd);
    pool_note_closed(&c->to, 0);
    *why = REASON_closer;
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
    keep_spare(c);
    idle_adopt(c, &idle);
    int result = swap_under(c, c->private_fd);
    if (result < 0) {
        private_close(c->private_fd);
        c->private_fd = -1;
        return result;
    }
    conn_set_state(c, CONN_LEASED);
    stats_count(leased);
    return 0;
}

/* Gives the idle connection under a LEASED conn back. */
static void give_back(struct conn *c, bool healthy)
{
    if (healthy && !c->shared && !c->inside) {
        idle_park(c, false);
    } else {
        if (c->inside) /* wakes those who wait on it; they look again */
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
    int result = swap_under(c, idle.fd);
    if (result < 0) {
        private_close(idle.fd);
        return result;
    }
    give_back(c, healthy);
    idle_adopt(c, &idle);
    options_apply(&c->options, c->private_fd);
    return 0;
}

/* Makes a socket like the client's own would be: connected if the client may wait for that, with fast
 * open prepared if not. */
static int connect_fresh(const struct conn *c, int fd, bool nonblocking, bool *fastopen)
{
    const struct sockaddr *peer = (const struct sockaddr *)&c->peer;
    int on = 1;
    int result = options_apply(&c->options, fd);

    *fastopen = false;
    if (result < 0)
        return result;
    if (nonblocking) {
        real.fcntl(fd, F_SETFL, (void *)(intptr_t)(O_RDWR | O_NONBLOCK));
        *fastopen = real.setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof on) == 0;
        if (*fastopen)
            return 0;
    }
    if (real.connect(fd, peer, c->peer_len) != 0 && errno != EINPROGRESS)
        return -errno;
    return 0;
}

/* Not under a low number: a thread may still use one that another has closed, and would talk on this. */
static int own_socket(int family)
{
    int fd = real.socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
static int fresh_socket(struct conn *c, bool *fastopen)
{
    unsigned generation = c->generation;
    int fd = own_socket(c->to.family);

    *fastopen = false;
    if (fd < 0)
        return -errno;
    int state = c->cancel_state;
    c->cancel_state = PTHREAD_CANCEL_DISABLE;
    c->homing = conn_self();
    conn_outside_begin(c);
    int result = connect_fresh(c, fd, c->nonblocking, fastopen);
    conn_outside_end(c);
    c->homing = NULL;
    c->cancel_state = state;
    if (result == 0 && (c->generation != generation || c->nfds == 0))
        result = -EBADF; /* closed by another thread meanwhile */
    if (result == 0)
        return fd;
    close_own(fd);
    return result;
}

int swap_rehome(struct conn *c, bool healthy)
{
    int saved = errno;
    bool fastopen;
    int fd = fresh_socket(c, &fastopen);

    if (fd < 0)
        return fd;
    int result = swap_under(c, fd);
    close_own(fd);
    if (result < 0)
        return result;
    give_back(c, healthy);
    c->fastopen = fastopen;
    if (c->reused)
        stats_uncount(leased);
    c->reused = false;
    c->idle = (struct idle){ .fd = -1, .max_left = -1, .opened_ms = idle_now_ms() };
    if (c->state == CONN_LEASED)
        conn_set_state(c, CONN_FRESH);
    stats_count(fresh);
    errno = saved;
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
    int end = c->shared ? -1 : eof_socket(c->to.family);

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
    if (c->inside) /* wakes those who wait for bytes that will never come */
        real.shutdown(c->fds[0].fd, SHUT_RDWR);
    if (end < 0 || swap_under(c, end) < 0) {
        /* Copies of the fd share the socket: they all see its end. */
        real.shutdown(c->fds[0].fd, SHUT_RD);
        why = why != REASON_none ? why : REASON_duplicated;
    }
    if (c->queued && c->private_fd >= 0)
        incoming_discard(c->private_fd, c->queued);
    c->queued = 0;
    if (why == REASON_none)
        idle_park(c, true);
    private_close(c->private_fd);
    c->private_fd = -1;
    hold_clear(&c->request);
    errno = saved;
}
