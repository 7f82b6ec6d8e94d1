/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/withheld.h"

#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/fds/table.h"

#include <errno.h>

enum { MOST = 64 };

atomic_uint withheld_count;

static struct {
    atomic_int hints[MOST];   /* where to look for them, fd + 1; 0: nothing there.  withheld_ms is what counts */
    _Atomic uint64_t next_ms; /* when the first is due, or earlier */
} our = { .next_ms = UINT64_MAX };

static void note_due(uint64_t due)
{
    uint64_t next = atomic_load(&our.next_ms);

    while (due < next && !atomic_compare_exchange_weak(&our.next_ms, &next, due))
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
            if (atomic_compare_exchange_strong(&our.hints[i], &none, c->fds.numbers[0].fd + 1))
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
        if (own && atomic_compare_exchange_strong(&our.hints[i], &own, 0))
            break;
    }
    atomic_fetch_sub(&withheld_count, 1);
}

bool withheld_due(const struct conn *c)
{
    return c->request.withheld_ms && self_now_ms() - c->request.withheld_ms >= WITHHELD_MS;
}

int withheld_turn_ms(void)
{
    uint64_t next = atomic_load(&our.next_ms), now = self_now_ms();

    return next <= now ? 1 : next - now < WITHHELD_MS ? (int)(next - now) : WITHHELD_MS;
}

static void each(int (*release)(struct conn *c, int fd), bool due)
{
    int saved = errno;

    atomic_store(&our.next_ms, UINT64_MAX);
    for (int i = 0; i < MOST; i++) {
        int fd = atomic_load(&our.hints[i]) - 1;
        struct conn *c = fd >= 0 && conn_find(fd) ? conn_enter(fd, NEED_ALL) : NULL;
        int own = fd + 1;
        if (fd >= 0 && (!c || !c->request.withheld_ms))
            atomic_compare_exchange_strong(&our.hints[i], &own, 0);
        if (!c)
            continue;
        if (c->request.withheld_ms && !c->use.reconnecting && (!due || withheld_due(c))) /* or a thread is at it already */
            release(c, fd);
        else if (c->request.withheld_ms)
            note_due(c->request.withheld_ms + WITHHELD_MS);
        conn_leave(c);
    }
    errno = saved;
}

void withheld_each_due(int (*release)(struct conn *c, int fd))
{
    if (withheld_turn_ms() <= 1 && self_is_ours())
        each(release, true);
}

void withheld_each(int (*release)(struct conn *c, int fd))
{
    if (self_is_ours())
        each(release, false);
}

void withheld_after_fork(void)
{
    for (int i = 0; i < MOST; i++)
        atomic_store(&our.hints[i], 0);
    atomic_store(&withheld_count, 0);
    atomic_store(&our.next_ms, UINT64_MAX);
}
