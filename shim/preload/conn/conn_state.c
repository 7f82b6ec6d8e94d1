/* The state of a conn, and what follows from it. */
#include "preload/conn/conn.h"

#include "base/debug.h"
#include "base/log.h"
#include "preload/conn/deferred.h"
#include "preload/conn/first.h"
#include "preload/conn/parking.h"
#include "preload/conn/stall.h"
#include "preload/fds/private.h"
#include "preload/conn/trial.h"
#include "preload/conn/withheld.h"

atomic_uint conn_borrowed;

static inline bool is_borrowed(const struct conn *c)
{
    const unsigned used = 1 << CONN_LEASED_UNREGISTERED | 1 << CONN_LEASED | 1 << CONN_EXCHANGE_PARTLY_SENT |
                          1 << CONN_EXCHANGE | 1 << CONN_OBSERVED_PARTLY_SENT | 1 << CONN_OBSERVED |
                          1 << CONN_ENDED_UNSWAPPED;

    return (c->reused || c->reply.first || c->x.end_when_awaited || c->after.end_asked || c->after.write_shut ||
            c->registrations.asks_end) &&
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
    c->state = state;
    if (c->borrowed || is_borrowed(c))
        conn_recount(c);
}

bool conn_make_ready(struct conn *c, enum need need)
{
    if (conn_is_ready(c, need))
        return c->fds.count;
    if (conn_is_new(c) && need == NEED_ALL)
        parking_touch(c);
    else if (conn_is_new(c))
        parking_make_ready(c);
    else
        deferred_apply(c);
    return c->fds.count;
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
    deferred_done(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    c->fds.closed = true;
}

void conn_set_free(struct conn *c)
{
    first_drop(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    conn_set_state(c, CONN_FREE);
}
