#define _GNU_SOURCE
#include "preload/share/idle.h"

#include "base/log.h"
#include "base/stats.h"
#include "preload/share/path.h"
#include "preload/self/identity.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/wire/provisional.h"
#include "preload/libc/real.h"
#include "preload/share/shared.h"
#include "preload/share/tracing.h"
#include "preload/fds/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { PROOF_MS = 1 };

void idle_identify(struct conn *c)
{
    if (c->fds.count && !c->idle.cookie && !conn_is_new(c) && !conn_has_ended(c))
        c->idle.cookie = socket_cookie(c->fds.numbers[0].fd);
}

bool idle_is_there(const struct idle *idle)
{
    return private_is(idle->fd) && idle->cookie && socket_cookie(idle->fd) == idle->cookie;
}

/* A 408 is how some servers say that they close an idle connection (9110 15.5.9): they do mean to
 * persist.  Anything else that comes unasked is poison. */
static enum pool_health look(int fd)
{
    static const char timeout[] = "HTTP/1.1 408";
    char bytes[sizeof timeout - 1];
    ssize_t n = real.recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return POOL_ALIVE;
    if (n <= 0)
        return POOL_STALE;
    bytes[7] = '1'; /* of 1.0, too */
    return n == sizeof bytes && memcmp(bytes, timeout, sizeof bytes) == 0 ? POOL_STALE : POOL_POISONED;
}

/* What the program has put under the number is not ours to close; what a policy does not let us ask
 * about is still ours. */
static enum pool_health probe(const struct idle *idle)
{
    int saved = errno;
    enum pool_health health = POOL_REPLACED;

    errno = 0;
    if (idle_is_there(idle))
        health = look(idle->fd);
    else if (private_is(idle->fd) && socket_cookie_unknown())
        health = POOL_STALE;
    errno = saved;
    return health;
}

static enum reason reason_of(enum pool_health health)
{
    return health == POOL_ALIVE ? REASON_none : health == POOL_STALE ? REASON_stale : REASON_poisoned;
}

enum reason idle_second_look(const struct conn *c)
{
    int saved = errno, fd = c->fds.numbers[0].fd;

    errno = 0;
    bool replaced = c->idle.unseen && socket_cookie(fd) != c->idle.cookie && !socket_cookie_unknown();
    enum pool_health health = replaced ? POOL_REPLACED : look(fd);
    errno = saved;
    if (replaced)
        return REASON_replaced;
    if (health == POOL_POISONED)
        pool_note_closed(&c->to, 0);
    return reason_of(health);
}

bool idle_answers_another(struct conn *c)
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

/* The client may have set SO_LINGER, for a close of its own: that of an idle connection, in some later call, must not
 * wait for a server that is gone. */
static void do_not_linger(int fd)
{
    const struct linger none = { .l_onoff = 0 };

    if (private_is(fd))
        real.setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

/* A child of a fork may hold a copy: only shutdown tells the server that we are done with it. */
void idle_discard(const struct idle *idle, enum reason why)
{
    int saved = errno;

    stats_reason(why);
    if (log_on())
        log_printf("idle fd %d %s: %s", idle->fd, reason_name(why), reason_sentence(why));
    if (why == REASON_replaced) {
        if (private_is(idle->fd))
            private_forget(idle->fd);
    } else {
        if (self.forked)
            real.shutdown(idle->fd, SHUT_RDWR);
        do_not_linger(idle->fd);
        private_close(idle->fd);
    }
    errno = saved;
}

int idle_start(void)
{
    static const struct pool_ops ops = { .probe = probe, .discard = idle_discard, .now_ms = self_now_ms };

    unsigned most = private_limit();

    spare_start(most);
    pool_limit_use(self.config.max_requests, (uint64_t)self.config.max_age * 1000);
    return pool_init(&ops, self.config.max_per_endpoint,
                     self.config.max_idle && self.config.max_idle < most ? self.config.max_idle : most);
}

static uint32_t idle_time(const struct conn *c)
{
    enum { DAY = 86400 };
    uint32_t seconds = self.config.idle_seconds;

    if (c->x.keep_timeout > 1) /* the server's word, less a second for what is under way */
        seconds = c->x.keep_timeout > DAY ? DAY : (uint32_t)c->x.keep_timeout - 1;
    return seconds * 1000;
}

void idle_remember_name(struct conn *c)
{
    socklen_t len = sizeof c->idle.local;

    if (c->idle.local.any.sa_family)
        return;
    if (real.getsockname(c->fds.numbers[0].fd, &c->idle.local.any, &len) != 0)
        c->idle.local.any.sa_family = 0;
}

bool idle_wait_for_proof(const struct idle *idle)
{
    struct pollfd wait = { .fd = idle->fd, .events = POLLIN };
    int saved = errno;
    bool fine = real.poll(&wait, 1, PROOF_MS) == 0;

    errno = saved;
    return fine;
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
    return reason_of(look(c->idle.fd));
}

static void lose(const struct conn *c, enum reason why)
{
    if (tracing_on())
        tracing_write(&c->to, TRACE_reason, why);
    idle_discard(&c->idle, why);
}

void idle_park(struct conn *c, bool served)
{
    uint64_t now = self_now_ms();

    c->idle.fd = c->fds.private_fd;
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
    enum reason why = shared_park(&c->to, &c->idle);
    if (why == REASON_none && served)
        stats_count(parked);
    if (tracing_on() && (why != REASON_none || served))
        tracing_write(&c->to, why == REASON_none ? TRACE_parked : TRACE_reason, why);
}

void idle_adopt(struct conn *c, const struct idle *idle)
{
    c->fds.private_fd = idle->fd;
    c->idle = *idle;
    path_adopted(c);
    c->reused = true;
}

bool idle_match_blocking(const struct conn *c, struct idle *idle)
{
    void *flags = (void *)(intptr_t)(O_RDWR | (c->nonblocking ? O_NONBLOCK : 0));

    if (idle->nonblocking != c->nonblocking && real.fcntl(idle->fd, F_SETFL, flags) != 0)
        return false;
    idle->nonblocking = c->nonblocking;
    return true;
}

void idle_crossed_fork(struct conn *c)
{
    if (conn_has_ended(c))
        return;
    path_unguard(c);
    c->copied = true;
    conn_forbid_parking(c, REASON_crossed_fork);
}

void idle_crossed_fork_child(struct conn *c)
{
    idle_crossed_fork(c);
    c->trial = TRIAL_NONE; /* the parent's */
    c->registrations.count = 0; /* likewise: a close here leaves them in the set (epoll(7)) */
    hold_clear(&c->request.behind); /* the parent sends it */
    c->request.withheld_ms = 0;
    c->use.reader = NULL;
    c->use.inside = 0;
    provisional_drop(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
}

void idle_close_copy(const struct idle *idle)
{
    private_close(idle->fd);
}
