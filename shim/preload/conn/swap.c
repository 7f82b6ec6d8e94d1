/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/swap.h"

#include "preload/conn/event.h"
#include "preload/fds/confined.h"
#include "preload/conn/deferred.h"
#include "preload/conn/fresh.h"
#include "preload/share/idle.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/share/shared.h"
#include "preload/conn/trial.h"
#include "preload/conn/under.h"
#include "preload/conn/parking.h"

#include <errno.h>
#include <fcntl.h>

atomic_uint swap_replaced;

/* A reference to the client's own fresh socket, for the next socket(2), if nothing was done to it; or -1. */
static int take_own(struct conn *c)
{
    int fd = c->fds.private_fd;

    if (c->state == CONN_NEW_TOUCHED)
        return -1;
    if (fd < 0)
        c->opening.spare.nonblocking = c->nonblocking;
    c->fds.private_fd = -1;
    return fd >= 0 ? fd : private_dup(c->fds.numbers[0].fd);
}

/* As pool_lease; one that ends while it is waited for is taken for the server's habit. */
static int lease(struct conn *c, const struct wanted *wanted, struct idle *out, enum reason *why)
{
    if (!trial_may_lease(c, why))
        return -ENOENT;
    int result = pool_lease(&c->to, wanted, out, why);
    while (result != 0 && deferred_apply_end(&c->to)) /* what is owed may be what is wanted */
        result = pool_lease(&c->to, wanted, out, why);
    if (result != 0)
        result = shared_lease(&c->to, wanted, out, why);
    if (result != 0)
        return result;
    if (!confined_allows(out->fd, (const struct sockaddr *)&c->peer, c->peer_len)) {
        *why = REASON_not_allowed;
    } else if (!out->proven && !idle_wait_for_proof(out)) {
        pool_note_closed(&c->to, 0);
        *why = REASON_closer;
    } else if (parking_match_blocking(c, out)) {
        return 0;
    } else {
        *why = REASON_odd_descriptor;
    }
    private_close(out->fd);
    idle_forget_kept(out);
    return -ENOENT;
}

int swap_lease(struct conn *c)
{
    struct idle idle;
    enum reason why = REASON_none;
    const struct wanted anything = { .any = true };

    if (lease(c, &anything, &idle, &why) != 0) {
        conn_event(c, EVENT_REASON, why);
        return -ENOENT;
    }
    int own = take_own(c);
    c->registrations.watched = true;
    int result = under_put(c, idle.fd);
    if (result < 0) {
        registrations_unwatch(&c->registrations);
        private_close(idle.fd);
        idle_forget_kept(&idle);
        c->fds.private_fd = own;
        return result;
    }
    if (own >= 0)
        parking_give_own(c, own);
    parking_adopt(c, &idle);
    conn_set_state(c, CONN_LEASED);
    conn_event(c, EVENT_LEASED, REASON_none);
    return 0;
}

/* Gives the idle connection under a LEASED conn back. */
static void give_back(struct conn *c, bool keep)
{
    if (keep && !c->copied && !c->use.inside && c->fds.private_fd >= 0) {
        parking_park(c, false);
    } else {
        /* Wakes those who wait on it, they look again; and a child's copy does not withhold the end. */
        if (c->use.inside || (self.forked && !c->copied))
            real.shutdown(c->fds.private_fd, SHUT_RDWR);
        private_close(c->fds.private_fd);
        c->fds.private_fd = -1;
        idle_forget_kept(&c->idle);
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
            conn_event(c, EVENT_REASON, why);
        return swap_rehome(c, healthy);
    }
    if (under_put(c, idle.fd) < 0) {
        private_close(idle.fd);
        idle_forget_kept(&idle);
        return swap_rehome(c, healthy);
    }
    give_back(c, healthy);
    parking_adopt(c, &idle);
    options_apply(&c->options, c->fds.private_fd);
    options_hasten(c->fds.private_fd);
    return 0;
}

int swap_unconnected(struct conn *c)
{
    int fd, result = fresh_unconnected(c, &fd);

    if (result < 0)
        return result;
    result = under_put(c, fd);
    fresh_close(fd);
    return result;
}

static int replace(struct conn *c, bool keep, enum fresh_how how, enum conn_by_send *by_send)
{
    bool fastopen;
    int fd, result = fresh_socket(c, how, &fd, &fastopen);

    *by_send = fastopen ? BY_SEND_REHOMED : BY_SEND_NO;
    if (result == 0) {
        bool watched = c->registrations.watched;
        c->registrations.watched = false;
        c->registrations.held_back = fastopen;
        if (fastopen)
            c->use.unfinished = true;
        atomic_fetch_add(&swap_replaced, 1);
        result = under_put(c, fd) == 0 ? 0 : -ENOTSUP;
        c->registrations.watched = watched && result < 0;
        fresh_close(fd);
        if (result == 0)
            give_back(c, keep);
    }
    if (result != -ENOTSUP || c->reply.first) /* the old one is still of use */
        return result;
    *by_send = BY_SEND_NO;
    result = fresh_reconnect(c, how);
    if (result == 0)
        registrations_unwatch(&c->registrations);
    return result;
}

static int rehome(struct conn *c, bool keep, enum fresh_how how)
{
    int saved = errno;
    enum conn_by_send by_send;
    int result = c->fds.count ? replace(c, keep, how, &by_send) : -EBADF;

    errno = saved;
    if (result < 0)
        return result;
    trial_drop(c);
    c->request.by_send = by_send;
    if (c->reused)
        conn_event(c, EVENT_RETURNED, REASON_none);
    conn_event(c, EVENT_REHOMED, REASON_none);
    c->reused = false;
    conn_recount(c);
    c->idle = (struct idle){ .fd = -1, .max_left = -1, .opened_ms = self_now_ms() };
    if (conn_is_leased(c))
        conn_set_state(c, CONN_FRESH);
    return 0;
}

int swap_rehome(struct conn *c, bool keep)
{
    return rehome(c, keep, c->nonblocking ? FRESH_BY_SEND : FRESH_WAIT);
}

int swap_rehome_connecting(struct conn *c, bool keep)
{
    return rehome(c, keep, c->nonblocking ? FRESH_CONNECTING : FRESH_WAIT);
}

int swap_rehome_at_once(struct conn *c)
{
    return rehome(c, false, conn_is_leased(c) ? FRESH_CONNECTING : FRESH_BY_SEND);
}

/* Why the connection must not be pooled, or REASON_none. */
static enum reason obstacle(const struct conn *c)
{
    enum reason why = exchange_verdict(&c->x);

    if (conn_head_partly_sent(c)) /* the server takes what comes next for the rest of it */
        why = REASON_request_unfinished;
    if (why == REASON_none)
        why = c->unparkable;
    if (why == REASON_none && c->copied)
        why = REASON_duplicated;
    if (why == REASON_none && c->use.inside)
        why = REASON_busy_thread;
    return why == REASON_none ? trial_verdict(c) : why;
}

/* Another thread has closed the last number: the numbers that c knows may be somebody else's by now. */
static void end_closed(struct conn *c)
{
    conn_set_state(c, CONN_ENDED);
    conn_event(c, EVENT_REASON, REASON_busy_thread);
    c->reply.peeked_unread = 0;
    hold_clear(&c->request.bytes);
}

void swap_end(struct conn *c)
{
    if (c->fds.count == 0 || !conn_owns(c, c->fds.numbers[0].fd)) {
        end_closed(c);
        return;
    }
    int saved = errno;
    bool ours = self_is_ours(); /* or it is marked as shared by this look */
    enum reason why = ours ? obstacle(c) : REASON_crossed_fork;

    parking_remember_name(c);
    c->idle.nonblocking = c->nonblocking;
    if (c->after.write_ended)
        c->after.write_shut = true;
    if (why == REASON_none && c->fds.private_fd < 0) {
        c->fds.private_fd = private_dup(c->fds.numbers[0].fd);
        if (c->fds.private_fd < 0)
            why = REASON_no_private_fd;
    }
    if (c->reply.peeked_unread && c->fds.private_fd < 0)
        c->fds.private_fd = private_dup(c->fds.numbers[0].fd);
    if (why != REASON_none || !deferred_end(c)) {
        conn_set_state(c, CONN_ENDED);
        if (why != REASON_none)
            conn_event(c, EVENT_REASON, why);
        under_end(c, why);
    }
    hold_clear(&c->request.bytes);
    hold_clear(&c->request.behind);
    errno = saved;
}
