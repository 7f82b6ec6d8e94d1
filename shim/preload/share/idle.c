/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/share/idle.h"

#include "base/log.h"
#include "base/stats.h"
#include "preload/self/identity.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/fds/socket.h"
#include "preload/fds/spare.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { PROOF_MS = 1 };

static const struct secure_kept *kept_calls;

bool idle_is_there(const struct idle *idle)
{
    return private_is(idle->fd) && idle->cookie && socket_cookie(idle->fd) == idle->cookie;
}

/* A 408 is how some servers say that they close an idle connection (9110 15.5.9): they do mean to
 * persist.  Anything else that comes unasked is poison. */
enum pool_health idle_look(int fd)
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

enum reason idle_reason(enum pool_health health)
{
    return health == POOL_ALIVE ? REASON_none : health == POOL_STALE ? REASON_stale : REASON_poisoned;
}

/* What the program has put under the number is not ours to close; what a policy does not let us ask
 * about is still ours. */
static enum pool_health probe(const struct idle *idle)
{
    int saved = errno;
    enum pool_health health = POOL_REPLACED;

    errno = 0;
    if (idle_is_there(idle))
        health = idle_look(idle->fd);
    else if (private_is(idle->fd) && socket_cookie_unknown())
        health = POOL_STALE;
    if (health == POOL_POISONED && idle->secured) /* TLS: a notice that it closes looks like anything else */
        health = POOL_STALE;
    errno = saved;
    return health;
}

void idle_set_kept(const struct secure_kept *calls)
{
    kept_calls = calls;
}

void idle_hold_kept(const struct idle *idle)
{
    if (idle->secured)
        kept_calls->hold(idle->kept);
}

void idle_forget_now(void *kept)
{
    kept_calls->forget(kept);
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
    if (idle->secured)
        idle_forget_now(idle->kept);
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

bool idle_wait_for_proof(const struct idle *idle)
{
    struct pollfd wait = { .fd = idle->fd, .events = POLLIN };
    int saved = errno;
    bool fine = real.poll(&wait, 1, PROOF_MS) == 0;

    errno = saved;
    return fine;
}

void idle_close_copy(const struct idle *idle)
{
    private_close(idle->fd);
}
