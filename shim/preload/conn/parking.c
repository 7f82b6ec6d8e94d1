/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/parking.h"

#include "base/stats.h"
#include "pool/pool.h"
#include "preload/conn/path.h"
#include "preload/share/evidence.h"
#include "preload/fds/private.h"
#include "preload/fds/socket.h"
#include "preload/libc/real.h"
#include "preload/self/identity.h"
#include "preload/self/self.h"
#include "preload/share/idle.h"
#include "preload/share/shared.h"
#include "preload/share/tracing.h"
#include "preload/fds/spare.h"
#include "preload/conn/withheld.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

void parking_identify(struct conn *c)
{
    if (c->fds.count && !c->idle.cookie && !conn_is_new(c) && !conn_has_ended(c))
        c->idle.cookie = socket_cookie(c->fds.numbers[0].fd);
}

enum reason parking_second_look(const struct conn *c)
{
    int saved = errno, fd = c->fds.numbers[0].fd;

    errno = 0;
    bool replaced = c->idle.unseen && socket_cookie(fd) != c->idle.cookie && !socket_cookie_unknown();
    enum pool_health health = replaced ? POOL_REPLACED : idle_look(fd);
    errno = saved;
    if (replaced)
        return REASON_replaced;
    if (health == POOL_POISONED)
        pool_note_closed(&c->to, 0);
    return idle_reason(health);
}

bool parking_answers_another(struct conn *c)
{
    int saved = errno;
    int unacknowledged = 0;

    if (!c->reused || c->copied || !c->request.bytes.data || !c->request.bytes.end ||
        c->fds.count == 0)
        return false;
    bool foreign = real.ioctl(c->fds.numbers[0].fd, TIOCOUTQ, &unacknowledged) == 0 &&
                   unacknowledged > 0 && (size_t)unacknowledged >= c->request.bytes.end;
    errno = saved;
    if (!foreign)
        return false;
    conn_note(c, REASON_poisoned);
    pool_note_closed(&c->to, 0);
    return true;
}

static uint32_t idle_time(const struct conn *c)
{
    enum { DAY = 86400 };
    uint32_t seconds = self.config.idle_seconds;

    if (c->x.keep_timeout > 1) /* the server's word, less a second for what is under way */
        seconds = c->x.keep_timeout > DAY ? DAY : (uint32_t)c->x.keep_timeout - 1;
    return seconds * 1000;
}

void parking_remember_name(struct conn *c)
{
    socklen_t len = sizeof c->idle.local;

    if (c->idle.local.any.sa_family)
        return;
    if (real.getsockname(c->fds.numbers[0].fd, &c->idle.local.any, &len) != 0)
        c->idle.local.any.sa_family = 0;
}

static uint16_t add_requests(uint16_t before, uint32_t more)
{
    return more < (uint32_t)UINT16_MAX - before ? (uint16_t)(before + more) : UINT16_MAX;
}

/* It expires when it is too old for any use. */
static uint32_t within_age(const struct idle *idle, uint32_t idle_ms, uint64_t now)
{
    uint64_t most = (uint64_t)self.config.max_age * 1000, age = now - idle->opened_ms;

    if (!most || age >= most) /* the pool says so */
        return idle_ms;
    return most - age < idle_ms ? (uint32_t)(most - age) : idle_ms;
}

/* What the exchange taught about the connection. */
static void learn(struct conn *c, uint64_t now)
{
    struct idle *idle = &c->idle;

    idle->absolute = c->x.request.absolute;
    idle->host = c->x.request.host;
    idle->proxy_auth = c->x.request.proxy_auth;
    idle->after_body = c->x.request.body;
    idle->idle_ms = within_age(idle, idle_time(c), now);
    idle->requests = add_requests(idle->requests, c->x.requests);
    idle->proven = c->x.promised || idle->requests > 1;
    if (c->x.keep_max >= 0)
        idle->max_left = c->x.keep_max;
    else if (idle->max_left > 0)
        idle->max_left--;
    if (!idle->cookie)
        idle->cookie = socket_cookie(idle->fd);
}

/* A lease that was not used does not make a connection younger. */
static uint64_t age(struct idle *idle, uint64_t now)
{
    uint64_t passed = now - idle->parked_ms;

    idle->idle_ms = passed < idle->idle_ms ? idle->idle_ms - (uint32_t)passed : 0;
    return passed;
}

/* An end that was put off: the connection has been idle since then, unseen. */
static enum reason catch_up(struct conn *c, uint64_t now)
{
    if (c->state != CONN_ENDED_UNSWAPPED || age(&c->idle, now) == 0)
        return REASON_none;
    return idle_reason(idle_look(c->idle.fd));
}

static void lose(struct conn *c, enum reason why)
{
    if (tracing_on())
        tracing_write(&c->to, TRACE_reason, why);
    idle_discard(&c->idle, why);
    c->idle.secured = false;
}

/* What speaks TLS on it does not leave this process. */
static enum reason park_secured(const struct endpoint *to, struct idle *idle)
{
    enum reason why = pool_park(to, idle);

    idle->secured = false; /* the pool's, or gone */
    return why;
}

static enum reason park(const struct endpoint *to, struct idle *idle)
{
    if (!evidence_has(to, EVIDENCE_ONE_AT_A_TIME))
        return idle->secured ? park_secured(to, idle) : shared_park(to, idle);
    idle_discard(idle, REASON_one_at_a_time);
    idle->secured = false;
    return REASON_one_at_a_time;
}

void parking_park(struct conn *c, bool served)
{
    uint64_t now = self_now_ms();

    c->idle.fd = c->fds.private_fd;
    if (!conn_has_ended(c)) /* else swap_end has noted it: what the client asked for since has not reached this socket */
        c->idle.nonblocking = c->nonblocking;
    c->fds.private_fd = -1;
    if (served)
        learn(c, now);
    else
        age(&c->idle, now);
    enum reason ill = catch_up(c, now);
    if (ill != REASON_none) {
        lose(c, ill);
        return;
    }
    c->idle.parked_ms = now;
    if (!options_undo(&c->options, c->idle.fd)) {
        lose(c, REASON_option_not_undone);
        return;
    }
    if (!c->reused && !options_nodelay(&c->options))
        options_hasten(c->idle.fd);
    if (self.has_left && identity_is_of_home(&c->to)) {
        lose(c, REASON_other_user);
        return;
    }
    if (!c->idle.cookie) { /* could never be told from another one */
        lose(c, REASON_odd_descriptor);
        return;
    }
    path_guard(c);
    enum reason why = park(&c->to, &c->idle);
    if (why == REASON_none && served)
        stats_count(parked);
    if (tracing_on() && (why != REASON_none || served))
        tracing_write(&c->to, why == REASON_none ? TRACE_parked : TRACE_reason, why);
}

void parking_adopt(struct conn *c, const struct idle *idle)
{
    c->fds.private_fd = idle->fd;
    c->idle = *idle;
    path_adopted(c);
    c->reused = true;
}

bool parking_match_blocking(const struct conn *c, struct idle *idle)
{
    void *flags = (void *)(intptr_t)(O_RDWR | (c->nonblocking ? O_NONBLOCK : 0));

    if (idle->nonblocking != c->nonblocking && real.fcntl(idle->fd, F_SETFL, flags) != 0)
        return false;
    idle->nonblocking = c->nonblocking;
    return true;
}

void parking_crossed_fork(struct conn *c)
{
    if (conn_has_ended(c))
        return;
    path_unguard(c);
    c->copied = true;
    conn_forbid_parking(c, REASON_crossed_fork);
}

void parking_crossed_fork_child(struct conn *c)
{
    parking_crossed_fork(c);
    c->trial = TRIAL_NONE; /* the parent's */
    c->registrations.count = 0; /* likewise: a close here leaves them in the set (epoll(7)) */
    hold_clear(&c->request.behind); /* the parent sends it */
    c->request.withheld_ms = 0;
    c->use.reader = NULL;
    c->use.inside = 0;
    conn_drop_first(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
}

/* What the program has put under the private number, where we did not see it, came under its own as well; or
 * the spare cannot be made what it is to be.  A fresh socket takes its place. */
static void replace(struct conn *c)
{
    int number = c->fds.numbers[0].fd;

    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    int fd = real.socket(c->to.family, SOCK_STREAM | SOCK_CLOEXEC | (c->nonblocking ? SOCK_NONBLOCK : 0), 0);

    if (fd < 0)
        return;
    real.dup3(fd, number, c->fds.numbers[0].cloexec ? O_CLOEXEC : 0);
    real.close(fd);
}

static bool set_blocking(struct conn *c, int fd)
{
    void *flags = (void *)(intptr_t)(O_RDWR | (c->nonblocking ? O_NONBLOCK : 0));

    if (real.fcntl(fd, F_SETFL, flags) != 0)
        return false;
    c->opening.spare.nonblocking = c->nonblocking;
    return true;
}

void parking_make_ready(struct conn *c)
{
    if (c->state != CONN_NEW_UNREADY || c->fds.count == 0)
        return;
    int saved = errno, fd = c->fds.numbers[0].fd;

    conn_set_state(c, CONN_NEW);
    errno = 0;
    if ((uint32_t)socket_cookie(fd) != c->opening.spare.cookie && !socket_cookie_unknown()) {
        /* The client's number was closed where we did not see it. */
        if ((uint32_t)socket_cookie(c->fds.private_fd) == c->opening.spare.cookie) {
            conn_bypass(c, REASON_replaced);
        } else {
            private_forget(c->fds.private_fd);
            replace(c);
        }
    } else if (c->opening.spare.nonblocking != c->nonblocking && !set_blocking(c, fd)) {
        replace(c);
    }
    errno = saved;
}

void parking_touch(struct conn *c)
{
    parking_make_ready(c);
    if (c->state != CONN_NEW_TOUCHED)
        conn_set_state(c, CONN_NEW_TOUCHED);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
}

void parking_give_own(const struct conn *c, int fd)
{
    if (identity_is_mine(&c->to))
        spare_give(c->to.family, fd, c->opening.spare);
    else
        private_close(fd);
}
