/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/release.h"

#include "preload/conn/stall.h"
#include "preload/conn/swap.h"
#include "preload/libc/real.h"
#include "preload/self/self.h"
#include "preload/wire/outgoing.h"

#include <errno.h>
#include <poll.h>

/* A server that serves one connection at a time speaks no TLS beside HTTP, and makes no tunnels. */
static bool may_be_kept_waiting(const struct conn *c)
{
    enum reason why = c->x.reason;

    return why != REASON_tls && why != REASON_http2 && why != REASON_connect_method && why != REASON_upgrade;
}

int release_all(struct conn *c, int fd)
{
    int result = 0;

    if (conn_is_leased(c) && !c->copied)
        result = swap_rehome(c, true);
    if (may_be_kept_waiting(c))
        stall_make_way(&c->to);
    if (result == 0 && hold_len(&c->request.bytes))
        result = outgoing_all(c, fd, c->request.bytes.data + c->request.bytes.start, hold_len(&c->request.bytes));
    if (result == 0)
        hold_clear(&c->request.bytes);
    if (result == 0)
        withheld_over(c);
    return result;
}

/* The client takes it for connected, and may shut it down, or connect it again: that connect, not its own, is to hear that it
 * is connected.  So the kernel is asked twice.  0, or -errno. */
static int connect_for(const struct conn *c, int fd)
{
    int result = 0;

    for (int i = 0; i < 2 && result == 0; i++) {
        result = real.connect(fd, (const struct sockaddr *)&c->peer, c->peer_len) == 0 ? 0 : -errno;
        if (result == -EINPROGRESS) {
            outgoing_writable(fd);
            result = 0;
        }
    }
    return result == -EISCONN || result == -EALREADY ? 0 : result;
}

int release_held(struct conn *c, int fd)
{
    int result = release_all(c, fd);

    if (result == 0 && c->request.by_send != BY_SEND_NO) { /* nothing was there to connect with */
        c->request.by_send = BY_SEND_NO;
        result = connect_for(c, fd);
    }
    return result;
}

/* FRESH: of the beginning of a head, what can go out whatever follows. */
static int send_fixed(struct conn *c, int fd)
{
    size_t fixed = exchange_fixed(&c->x, c->request.bytes.end), start = c->request.bytes.start;
    int result = 0;

    if (fixed > start)
        result = outgoing_all(c, fd, c->request.bytes.data + start, fixed - start);
    if (result == 0 && fixed > start)
        c->request.bytes.start = fixed;
    return result;
}

int release_some(struct conn *c, int fd)
{
    int result = 0;

    withheld_over(c);
    if (conn_is_exchange(c)) {
        if (exchange_listens(&c->x) == EXCHANGE_LISTENS_PERHAPS && c->fds.count) {
            conn_forbid_parking(c, REASON_half_closed);
            real.shutdown(fd, SHUT_WR);
        }
    } else if (exchange_awaits_body(&c->x)) {
        result = release_all(c, fd);
        if (result == 0)
            conn_bypass(c, REASON_slow_body);
    } else if (hold_len(&c->request.bytes)) {
        result = !conn_is_leased(c) ? 0 : c->copied ? -ENOTSUP : swap_rehome_at_once(c);
        result = result == 0 ? send_fixed(c, fd) : result;
    }
    return result;
}

void release_wait(struct conn *c, int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    unsigned generation = c->fds.generation;
    uint64_t passed = self_now_ms() - c->request.withheld_ms;
    int ready = 0;

    if (passed < WITHHELD_MS) {
        conn_outside_begin(c);
        ready = real.poll(&wait, 1, (int)(WITHHELD_MS - passed));
        conn_outside_end(c);
    }
    if (ready == 0 && c->fds.generation == generation && c->fds.count && c->request.withheld_ms)
        release_some(c, conn_number(c, fd));
}

void release_before_read(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    int saved = errno;

    if (real.poll(&wait, 1, 0) == 0)
        withheld_each(release_some);
    errno = saved;
}
