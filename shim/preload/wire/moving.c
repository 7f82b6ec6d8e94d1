/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/moving.h"

#include "base/page.h"
#include "preload/fds/eof.h"
#include "preload/libc/real.h"
#include "preload/wire/incoming.h"
#include "preload/wire/recv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static ssize_t real_move(const struct moving *m, int in, size_t len)
{
    return m->sendfile ? real.sendfile(m->out, in, NULL, len) : real.splice(in, NULL, m->out, NULL, len, m->flags);
}

static bool holds(const struct conn *c)
{
    return hold_len(&c->reply.bytes) || c->reply.tail != TAIL_NONE || c->reply.error || c->reply.kernel_error ||
           c->reply.undiscarded || c->reply.peeked_unread;
}

/* How much of the body the real call may move, 0: nothing.  Among threads the last byte stays in the kernel until another
 * socket lies under the number: see incoming.c. */
static size_t unseen(const struct conn *c, size_t len)
{
    uint64_t left = exchange_body_left(&c->x);

    if (!conn_is_exchange(c) || holds(c) || c->use.reader || !exchange_passes_unseen(&c->x))
        return 0;
    if (left != UINT64_MAX && incoming_leaves_queued(c, len))
        left--;
    return left < len ? (size_t)left : len;
}

static ssize_t move_unseen(struct conn *c, const struct moving *m, size_t len)
{
    unsigned generation = c->fds.generation;

    c->use.reader = conn_self();
    conn_outside_begin(c);
    ssize_t n = real_move(m, m->in, len);
    int error = errno;
    conn_outside_end(c);
    c->use.reader = NULL;
    if (n < 0)
        return -error;
    if (c->fds.generation != generation || !conn_is_exchange(c))
        return n;
    if (n == 0)
        return incoming_at_end(c, 0);
    incoming_follow(c, exchange_server(&c->x, NULL, (size_t)n));
    return n;
}

/* Waits, if it may, for a free slot in the pipe: by the call itself, from a socket that has nothing to give. */
static int wait_for_slot(struct conn *c, const struct moving *m)
{
    int end = eof_socket(c->to.family, false);

    if (end < 0)
        return 0;
    conn_outside_begin(c);
    ssize_t n = real_move(m, end, 1);
    int error = errno;
    conn_outside_end(c);
    return n < 0 ? -error : 0;
}

static ssize_t write_page(struct conn *c, int out, const char *page, size_t len)
{
    size_t written = 0;

    conn_outside_begin(c);
    while (written < len) {
        ssize_t n = real.write(out, page + written, len - written);
        if (n < 0 && errno != EINTR)
            break;
        written += n > 0 ? (size_t)n : 0;
    }
    int error = errno;
    conn_outside_end(c);
    return written ? (ssize_t)written : -error;
}

static ssize_t move_page(struct conn *c, const struct moving *m, size_t len, bool wait)
{
    int slot = wait_for_slot(c, m);
    struct page page;

    if (slot < 0)
        return slot;
    page_take(&page);
    struct iovec piece = { page.bytes, len < page.size ? len : page.size };
    ssize_t got = wire_receive(c, m->in, &piece, 1, wait ? 0 : MSG_DONTWAIT);
    if (got > 0)
        got = write_page(c, m->out, page.bytes, (size_t)got);
    page_return(&page);
    return got;
}

ssize_t moving_from(struct conn *c, struct moving m)
{
    size_t moved = 0;

    while (moved < m.len && c->fds.count && (conn_is_exchange(c) || conn_holds_back(c))) {
        size_t plain = moved ? 0 : unseen(c, m.len);
        if (moved)
            m.flags |= SPLICE_F_NONBLOCK;
        ssize_t n = plain ? move_unseen(c, &m, plain) : move_page(c, &m, m.len - moved, !moved);
        if (n == -ESTALE)
            continue;
        bool last_left = plain && n == (ssize_t)plain && plain < m.len && exchange_body_left(&c->x) == 1;
        if ((plain && !last_left) || n <= 0) /* else the byte that was left is there, too, perhaps */
            return n > 0 || !moved ? n : (ssize_t)moved;
        moved += (size_t)n;
    }
    return moved ? (ssize_t)moved : CONN_PLAIN;
}
