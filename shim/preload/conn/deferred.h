/* SPDX-License-Identifier: ISC */
/* deferred: what the kernel is not told at once, because most often it need not be told at all.
 *
 * The end of a response: a client's next step is to receive the end of file, or to close: neither needs another
 * socket under its fd, and the connection stays there (ENDED_UNSWAPPED).  A registration of a leased connection in an
 * epoll set, until it can be written to: that it can is known (LEASED_UNREGISTERED).
 *
 * It lasts until the client does something else to that fd (conn_enter), or something by which it could learn
 * of what is owed.  Of that, poll, select and epoll_wait say themselves what they would have been told,
 * together with what the kernel says of all else; whatever else waits settles everything first.
 *
 * Only in a process of one thread that has not forked: whoever else waits on the socket would sleep on. */
#ifndef HOLDFAST_PRELOAD_DEFERRED_H
#define HOLDFAST_PRELOAD_DEFERRED_H

#include "preload/conn/conn.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/select.h>

struct epoll_event;

/* Locked.  The response of c is complete, and the connection can be parked; its private fd is there.  False: it has to
 * be swapped now. */
bool deferred_end(struct conn *c);

/* Locked, LEASED: the client adds fd to a set.  False: the kernel has to be told now. */
bool deferred_add(struct conn *c, int epfd, int fd, const struct epoll_event *event);

/* Not locked.  The kernel has taken a registration: it is a set that lies under this number. */
void deferred_is_set(int epfd);

/* Locked.  Does what is owed for c.  c has no number any more if its own was closed where we did not see it. */
void deferred_apply(struct conn *c);

/* Not locked, or one conn locked for which nothing is owed: the process has one thread then.  Does what is owed for all
 * conns. */
void deferred_apply_all(void);

/* Likewise, for one conn that has ended and whose connection leads to `to`: the connection is parked.  False: there is no such
 * conn. */
bool deferred_apply_end(const struct endpoint *to);

static inline bool deferred_any(void)
{
    return __builtin_expect(atomic_load_explicit(&conn_deferred, memory_order_relaxed) != 0, 0);
}

/* Not locked.  Before anything waits. */
static inline void deferred_before_wait(void)
{
    if (deferred_any())
        deferred_apply_all();
}

/* Not locked. Is an end that is owed among what these wait for? Then the caller looks, without waiting, and the
 * function behind it adds the ends to what is ready. What waits in a set where that cannot be told is applied. By
 * poll: */
bool deferred_polled(const struct pollfd *fds, nfds_t n);

/* Returns how many are ready then; `ready` itself, if it is an error. */
int deferred_tell_poll(struct pollfd *fds, nfds_t n, int ready);

/* By select: */
bool deferred_selected(int n, const fd_set *in);

/* `in`: as the client gave it.  Returns how many it has added to *ready. */
int deferred_select(int n, const fd_set *in, fd_set *ready);

/* By epoll: */
bool deferred_waited(int epfd, const struct epoll_event *events, int most);

/* As deferred_tell_poll; 0: all was applied. */
int deferred_tell_epoll(int epfd, struct epoll_event *events, int ready, int most);

/* The program is about to make an epoll set, or a copy of some number. */
static inline void deferred_new_number(void)
{
    deferred_before_wait();
    atomic_fetch_add_explicit(&registrations_numbers, 1, memory_order_relaxed);
}

#endif
