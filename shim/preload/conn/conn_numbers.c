/* The numbers that lead to a conn. */
#include "preload/conn/conn.h"

#include "preload/libc/cancel.h"
#include "preload/share/idle.h"
#include "preload/conn/deferred.h"
#include "preload/fds/private.h"
#include "preload/conn/parking.h"

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

/* The last number is lost.  An exchange that was complete ends as by close(2). */
static void lose_last(struct conn *c)
{
    if (c->state == CONN_ENDED_UNSWAPPED && c->fds.private_fd >= 0)
        parking_park(c, true);
    deferred_done(c);
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

int conn_number(const struct conn *c, int fd)
{
    for (int i = 0; i < c->fds.count; i++)
        if (c->fds.numbers[i].fd == fd)
            return fd;
    return c->fds.count ? c->fds.numbers[0].fd : -1;
}

void conn_set_cloexec(struct conn *c, int fd, bool on)
{
    for (int i = 0; i < c->fds.count; i++)
        if (c->fds.numbers[i].fd == fd)
            c->fds.numbers[i].cloexec = on;
}
