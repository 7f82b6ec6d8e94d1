/* SPDX-License-Identifier: ISC */
/* The state of a conn, its numbers, and what follows from them. */
#include "preload/conn/conn.h"

#include "base/block.h"
#include "base/debug.h"
#include "base/log.h"
#include "preload/conn/stall.h"
#include "preload/fds/private.h"
#include "preload/share/idle.h"
#include "preload/conn/trial.h"
#include "preload/conn/withheld.h"

#include <errno.h>

atomic_uint conn_borrowed, conn_deferred;

/* What comes may be no input at all, and the client would wait for it. */
static inline bool is_blocking(const struct conn *c)
{
    return !c->nonblocking && conn_is_exchange(c);
}

static inline bool is_borrowed(const struct conn *c)
{
    const unsigned used = 1 << CONN_LEASED_UNREGISTERED | 1 << CONN_LEASED | 1 << CONN_EXCHANGE_PARTLY_SENT |
                          1 << CONN_EXCHANGE | 1 << CONN_OBSERVED_PARTLY_SENT | 1 << CONN_OBSERVED |
                          1 << CONN_ENDED_UNSWAPPED;

    return (c->reused || c->reply.first || c->x.end_when_awaited || c->after.end_asked || c->after.write_shut ||
            c->registrations.asks_end || is_blocking(c)) &&
           used >> c->state & 1;
}

void conn_recount(struct conn *c)
{
    bool borrowed = is_borrowed(c);

    if (atomic_load_explicit(&c->borrowed, memory_order_relaxed) == borrowed)
        return;
    c->borrowed = borrowed;
    if (borrowed)
        atomic_fetch_add_explicit(&conn_borrowed, 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&conn_borrowed, 1, memory_order_relaxed);
}

const char *conn_state_name(enum conn_state state)
{
    static const char *const names[] = {
#define STATE(name, missing, send, receive, moves) [CONN_##name] = #name,
#include "preload/conn/states.def"
#undef STATE
    };

    return names[state];
}

static __attribute__((noinline)) void log_move(const struct conn *c, enum conn_state state)
{
    if (log_on())
        log_printf("fd %d %s -> %s", c->fds.count ? c->fds.numbers[0].fd : -1, conn_state_name(c->state),
                   conn_state_name(state));
}

bool conn_may_become(enum conn_state from, enum conn_state to)
{
    static const uint16_t moves[] = {
#define TO(name) 1 << CONN_##name
#define STATE(name, missing, send, receive, moves) [CONN_##name] = (moves) | (CONN_##name != CONN_FREE) << CONN_FREE,
#include "preload/conn/states.def"
#undef STATE
#undef TO
    };

    return moves[from] >> to & 1;
}

void conn_set_state(struct conn *c, enum conn_state state)
{
    const unsigned before_head = 1 << CONN_FRESH | 1 << CONN_LEASED_UNREGISTERED | 1 << CONN_LEASED;
    bool allowed = conn_may_become(c->state, state);

    if (DEBUGGING || !allowed)
        log_move(c, state);
    debug_assert(allowed);
    if (state == CONN_FREE || state >= CONN_ENDED_UNSWAPPED) {
        if (c->waiter.ticket)
            stall_over(c, false);
        if (c->trial != TRIAL_NONE)
            trial_drop(c);
    }
    if (c->request.withheld_ms && !(before_head >> state & 1))
        withheld_over(c);
    unsigned was_deferred = conn_is_deferred(c);

    c->state = state;
    if (conn_is_deferred(c) != was_deferred)
        atomic_fetch_add(&conn_deferred, conn_is_deferred(c) - was_deferred);
    if (c->borrowed || is_borrowed(c))
        conn_recount(c);
}

bool conn_add_fd(struct conn *c, int fd, bool cloexec)
{
    if (c->fds.count == CONN_FDS || (unsigned)fd >= CONN_TABLE_SIZE)
        return false;
    c->fds.numbers[c->fds.count++] = (struct conn_fd){ .fd = fd, .cloexec = cloexec };
    atomic_store_explicit(&conn_table[fd], c, memory_order_release);
    return true;
}

void conn_drop_fd(struct conn *c, int fd)
{
    for (int i = 0; i < c->fds.count; i++)
        if (c->fds.numbers[i].fd == fd) {
            c->fds.numbers[i] = c->fds.numbers[--c->fds.count];
            atomic_store_explicit(&conn_table[fd], NULL, memory_order_release);
            return;
        }
}

void conn_set_cloexec(struct conn *c, int fd, bool on)
{
    for (int i = 0; i < c->fds.count; i++)
        if (c->fds.numbers[i].fd == fd)
            c->fds.numbers[i].cloexec = on;
}

bool conn_close_from_handler(int fd)
{
    struct conn *c = conn_find(fd);

    if (!c || c == CONN_PRIVATE || !lock_mine(&c->lock))
        return false;
    atomic_store(&conn_table[fd], NULL);
    c->use.unfinished = true;
    return true;
}

ssize_t conn_answer_busy(int fd, int flags)
{
    enum { REFUSALS_MAX = 100 }; /* then it was no handler: the holder has left by longjmp */
    struct conn *c = conn_find(fd);

    if (!c || c == CONN_PRIVATE || !lock_mine(&c->lock) || ++c->use.busy_answers > REFUSALS_MAX)
        return CONN_PLAIN;
    return c->nonblocking || flags & MSG_DONTWAIT ? -EAGAIN : -EINTR;
}

void conn_finish(struct conn *c)
{
    int before = c->fds.count;

    c->use.unfinished = false;
    for (int i = c->fds.count; i-- > 0;)
        if (!conn_owns(c, c->fds.numbers[i].fd))
            c->fds.numbers[i] = c->fds.numbers[--c->fds.count];
    if (c->registrations.held_back) {
        c->registrations.held_back = false;
        registrations_restore(&c->registrations);
    }
    if (c->fds.count || !before) /* bypassed */
        return;
    conn_deferred_over(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    c->fds.closed = true;
}

void conn_hold_first(struct conn *c, struct first_answer *first)
{
    c->reply.first = first;
    conn_recount(c);
}

void conn_drop_first(struct conn *c)
{
    struct first_answer *first = c->reply.first;

    if (!first)
        return;
    conn_hold_first(c, NULL);
    private_close(first->fd);
    hold_clear(&first->bytes);
    block_put(first, first->cap);
}

void conn_set_free(struct conn *c)
{
    conn_drop_first(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    idle_forget_kept(&c->idle);
    conn_set_state(c, CONN_FREE);
}
