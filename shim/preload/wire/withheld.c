#define _GNU_SOURCE
#include "preload/wire/withheld.h"

#include "preload/share/idle.h"
#include "preload/wire/outgoing.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/conn/stall.h"
#include "preload/conn/swap.h"

#include <errno.h>
#include <poll.h>

enum { MOST = 64 };

atomic_uint withheld_count;

/* Where to look for them, fd + 1; 0: nothing there.  withheld_ms is what counts. */
static atomic_int hints[MOST];
static _Atomic uint64_t next_ms = UINT64_MAX; /* when the first is due, or earlier */

static void note_due(uint64_t due)
{
    uint64_t next = atomic_load(&next_ms);

    while (due < next && !atomic_compare_exchange_weak(&next_ms, &next, due))
        ;
}

/* More than MOST at a time are released when their programs receive. */
void withheld_begin(struct conn *c)
{
    if (c->fds.count == 0)
        return;
    if (!c->request.withheld_ms)
        for (int i = 0; i < MOST; i++) {
            int none = 0;
            if (atomic_compare_exchange_strong(&hints[i], &none, c->fds.numbers[0].fd + 1))
                break;
        }
    atomic_fetch_add(&withheld_count, !c->request.withheld_ms);
    c->request.withheld_ms = self_now_ms();
    note_due(c->request.withheld_ms + WITHHELD_MS);
}

void withheld_over(struct conn *c)
{
    if (!c->request.withheld_ms)
        return;
    c->request.withheld_ms = 0;
    for (int i = 0; i < MOST; i++) {
        int own = c->fds.count ? c->fds.numbers[0].fd + 1 : 0;
        if (own && atomic_compare_exchange_strong(&hints[i], &own, 0))
            break;
    }
    atomic_fetch_sub(&withheld_count, 1);
}

/* A server that serves one connection at a time speaks no TLS beside HTTP, and makes no tunnels. */
static bool may_be_kept_waiting(const struct conn *c)
{
    enum reason why = c->x.reason;

    return why != REASON_tls && why != REASON_http2 && why != REASON_connect_method && why != REASON_upgrade;
}

int withheld_flush(struct conn *c, int fd)
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

int withheld_release(struct conn *c, int fd)
{
    int result = 0;

    withheld_over(c);
    if (conn_is_exchange(c)) {
        if (exchange_listens(&c->x) == EXCHANGE_LISTENS_PERHAPS && c->fds.count) {
            conn_forbid_parking(c, REASON_half_closed);
            real.shutdown(fd, SHUT_WR);
        }
    } else if (exchange_awaits_body(&c->x)) {
        result = withheld_flush(c, fd);
        if (result == 0)
            conn_bypass(c, REASON_slow_body);
    } else if (hold_len(&c->request.bytes)) {
        result = !conn_is_leased(c) ? 0 : c->copied ? -ENOTSUP : swap_rehome_at_once(c);
        result = result == 0 ? send_fixed(c, fd) : result;
    }
    return result;
}

void withheld_wait(struct conn *c, int fd)
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
        withheld_release(c, conn_number(c, fd));
}

bool withheld_due(const struct conn *c)
{
    return c->request.withheld_ms && self_now_ms() - c->request.withheld_ms >= WITHHELD_MS;
}

int withheld_turn_ms(void)
{
    uint64_t next = atomic_load(&next_ms), now = self_now_ms();

    return next <= now ? 1 : next - now < WITHHELD_MS ? (int)(next - now) : WITHHELD_MS;
}

void withheld_release_due(void)
{
    int saved = errno;

    if (withheld_turn_ms() > 1 || !self_is_ours())
        return;
    atomic_store(&next_ms, UINT64_MAX);
    for (int i = 0; i < MOST; i++) {
        int fd = atomic_load(&hints[i]) - 1;
        struct conn *c = fd >= 0 && conn_find(fd) ? conn_enter(fd, NEED_ALL) : NULL;
        int own = fd + 1;
        if (fd >= 0 && (!c || !c->request.withheld_ms))
            atomic_compare_exchange_strong(&hints[i], &own, 0);
        if (!c)
            continue;
        if (withheld_due(c))
            withheld_release(c, fd);
        else if (c->request.withheld_ms)
            note_due(c->request.withheld_ms + WITHHELD_MS);
        conn_leave(c);
    }
    errno = saved;
}

void withheld_after_fork(void)
{
    for (int i = 0; i < MOST; i++)
        atomic_store(&hints[i], 0);
    atomic_store(&withheld_count, 0);
    atomic_store(&next_ms, UINT64_MAX);
}
