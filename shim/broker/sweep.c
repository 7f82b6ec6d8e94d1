/* SPDX-License-Identifier: ISC */
/* What has lain in a queue for a moment goes to the hoard.  A process that parks must not pay for that: so
 * the broker is woken by the first that comes into an empty queue, and from then on looks by the clock until
 * the queue is empty again. */
#define _GNU_SOURCE
#include "broker/broker.h"

#include "base/kernel.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum {
    SWEEP_EVERY_MS = 100,
    A_MOMENT_MS = 200,
    SWEEP_MOST = 2 * TREE_MOST_PRIVILEGED, /* out of one queue at a time */
};

/* Edge-triggered: what lies there already when the watch is set counts as an edge, too. */
static void wait_for(struct broker *b, unsigned queue)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET | EPOLLONESHOT,
                                 .data.u64 = (uint64_t)queue << 2 | EVENT_OTHER };

    b->waiting[queue] = epoll_ctl(b->epoll, EPOLL_CTL_MOD, b->tree.first + (int)queue, &event) == 0;
}

void sweep_begin(struct broker *b)
{
    for (unsigned i = 0; i < TREE_QUEUES; i++) {
        broker_watch(b, b->tree.first + (int)i, 0, (uint64_t)i << 2 | EVENT_OTHER);
        wait_for(b, i);
    }
    b->next_sweep_ms = UINT64_MAX;
}

void sweep_wake(struct broker *b, unsigned queue)
{
    b->waiting[queue] = false;
    if (b->next_sweep_ms == UINT64_MAX)
        b->next_sweep_ms = broker_now_ms() + SWEEP_EVERY_MS;
}

static uint64_t cookie(const struct broker *b, int fd, int which)
{
    uint64_t value = 0;
    socklen_t len = sizeof value;

    return b->calls.getsockopt(fd, SOL_SOCKET, which, &value, &len) == 0 ? value : 0;
}

/* The socket that its message speaks of, in our namespace: where the kernel cannot say, the key does. */
static bool is_what_it_says(const struct broker *b, const struct idle *idle)
{
    uint64_t netns = cookie(b, idle->fd, SO_NETNS_COOKIE);

    return cookie(b, idle->fd, SO_COOKIE) == idle->cookie && (netns == b->netns || netns == 0);
}

/* False: it is for others than those we serve, and goes back. */
static bool take_in(struct broker *b, const struct endpoint *to, const struct idle *idle, uint64_t now_ms)
{
    if (to->uid != kernel_euid() || to->netns != b->netns) {
        tree_return(&b->tree, to, idle);
        b->calls.close(idle->fd);
        return false;
    }
    if (!is_what_it_says(b, idle)) {
        b->calls.close(idle->fd);
        return true;
    }
    if (!hoard_is_quiet(&b->calls, idle->fd))
        hoard_drop(&b->calls, idle->fd);
    else if (hoard_keep(&b->hoard, to, idle, now_ms))
        board_count(b->tree.board, hoarded, 1);
    return true;
}

/* True: something is left. */
static bool sweep_queue(struct broker *b, unsigned queue, uint64_t now_ms)
{
    struct endpoint to;
    struct idle idle;
    int result = 0;

    for (int i = 0; i < SWEEP_MOST && result == 0; i++) {
        result = tree_take_old(&b->tree, queue, A_MOMENT_MS, &to, &idle, now_ms);
        if (result == 0 && !take_in(b, &to, &idle, now_ms))
            return true;
    }
    return result != -ENOENT;
}

void sweep(struct broker *b, uint64_t now_ms)
{
    bool left = false;

    for (unsigned i = 0; i < TREE_QUEUES; i++) {
        if (b->waiting[i])
            continue;
        if (sweep_queue(b, i, now_ms))
            left = true;
        else
            wait_for(b, i);
    }
    b->next_sweep_ms = left ? now_ms + SWEEP_EVERY_MS : UINT64_MAX;
}

void sweep_drain(struct broker *b)
{
    uint64_t now_ms = broker_now_ms();
    struct endpoint to;
    struct idle idle;

    for (unsigned i = 0; i < TREE_QUEUES; i++)
        for (int n = 0; n < SWEEP_MOST && tree_take_old(&b->tree, i, 0, &to, &idle, now_ms) == 0; n++)
            hoard_drop(&b->calls, idle.fd);
}
