/* The numbers that lead to a conn. */
#include "preload/conn.h"

#include "preload/cancel.h"

bool conn_add_fd(struct conn *c, int fd, bool cloexec)
{
    if (c->nfds == CONN_FDS || (unsigned)fd >= CONN_TABLE_SIZE)
        return false;
    c->fds[c->nfds++] = (struct conn_fd){ .fd = fd, .cloexec = cloexec };
    atomic_store_explicit(&conn_table[fd], c, memory_order_release);
    return true;
}

void conn_drop_fd(struct conn *c, int fd)
{
    for (int i = 0; i < c->nfds; i++)
        if (c->fds[i].fd == fd) {
            c->fds[i] = c->fds[--c->nfds];
            atomic_store_explicit(&conn_table[fd], NULL, memory_order_release);
            return;
        }
}

void conn_drop_stale(struct conn *stale, int fd)
{
    int state = cancel_forbid();

    if (!lock_take(&stale->lock)) {
        cancel_allow(state);
        return;
    }
    stale->cancel = state;
    for (int i = 0; i < stale->nfds && conn_find(fd) != stale; i++)
        if (stale->fds[i].fd == fd) {
            stale->fds[i] = stale->fds[--stale->nfds];
            break;
        }
    conn_leave(stale);
}

int conn_number(const struct conn *c, int fd)
{
    for (int i = 0; i < c->nfds; i++)
        if (c->fds[i].fd == fd)
            return fd;
    return c->nfds ? c->fds[0].fd : -1;
}

void conn_set_cloexec(struct conn *c, int fd, bool on)
{
    for (int i = 0; i < c->nfds; i++)
        if (c->fds[i].fd == fd)
            c->fds[i].cloexec = on;
}
