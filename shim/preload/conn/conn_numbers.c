/* SPDX-License-Identifier: ISC */
/* Numbers that were closed where we did not see it. */
#include "preload/conn/conn.h"

#include "preload/conn/parking.h"
#include "preload/fds/private.h"
#include "preload/libc/cancel.h"

/* The last number is lost.  An exchange that was complete ends as by close(2). */
static void lose_last(struct conn *c)
{
    if (c->state == CONN_ENDED_UNSWAPPED && c->fds.private_fd >= 0)
        parking_park(c, true);
    conn_deferred_over(c);
    c->fds.closed = true;
}

void conn_lose(struct conn *c, int fd)
{
    struct conn *known = c;

    atomic_compare_exchange_strong(&conn_table[fd], &known, NULL);
    registrations_lose(&c->registrations, fd);
    for (int i = 0; i < c->fds.count; i++)
        if (c->fds.numbers[i].fd == fd) {
            c->fds.numbers[i] = c->fds.numbers[--c->fds.count];
            if (c->fds.count == 0)
                lose_last(c);
            return;
        }
}

void conn_drop_stale(struct conn *stale, int fd)
{
    struct conn *known = stale;
    int state = cancel_forbid();

    atomic_compare_exchange_strong(&conn_table[fd], &known, NULL); /* unless it leads to the new one already */
    if (!lock_take(&stale->lock)) {
        stale->use.unfinished = true; /* conn_leave sees to it */
        cancel_allow(state);
        return;
    }
    stale->use.cancel = state;
    if (conn_find(fd) != stale)
        conn_lose(stale, fd);
    conn_leave(stale);
}

void conn_number_is_new(int fd)
{
    struct conn *stale = conn_find(fd);

    if (stale == CONN_PRIVATE)
        private_forget(fd);
    else if (stale)
        conn_drop_stale(stale, fd);
}

struct conn *conn_create(int fd, bool cloexec, enum conn_state state)
{
    if ((unsigned)fd >= CONN_TABLE_SIZE)
        return NULL;
    conn_number_is_new(fd);
    return conn_make(fd, cloexec, state);
}
