/* SPDX-License-Identifier: ISC */
/* conn: what is known of one tracked TCP socket, and the table that leads from an fd number to it.
 *
 * Theory of operation. A socket(2) of the right kind gets a conn. The client's fd is always a real socket; what
 * changes is which socket lies under the number. Which socket that is, and what may be sent and received, is the
 * state's business: states.def.
 *
 * Memory: conns come from blocks that never turn into anything else, so a stale pointer from the table still points
 * at a conn, and conn_enter finds under its lock whether it is still the one. Locking: `lock` guards all of it and is
 * never held across a call that can block. Its holder cannot be cancelled (preload/libc/cancel.h): a thread that ends
 * in a real call would hold it for ever. */
#ifndef HOLDFAST_PRELOAD_CONN_H
#define HOLDFAST_PRELOAD_CONN_H

#include "base/lock.h"
#include "http/exchange.h"
#include "pool/endpoint.h"
#include "pool/pool.h"
#include "preload/conn/parts.h"
#include "preload/conn/state.h"
#include "preload/fds/registrations.h"
#include "preload/fds/options.h"
#include "preload/fds/table.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct conn {
    struct lock lock;
    atomic_uint polled; /* threads that wait for it in poll or select: bell.h.  Any state, also across a new life: who
                           counts for the one before only wakes somebody for nothing */
    struct conn_use use;
    enum conn_state state;
    enum conn_trial trial;
    enum reason unparkable; /* found outside of the exchange: why not to park, or REASON_none */
    bool nonblocking;       /* as the client believes.  Any state; set by socket, fcntl and ioctl */
    bool reused;            /* the socket has served requests before this one.  LEASED and later: set by parking_adopt,
                               cleared by a re-home */
    atomic_bool borrowed;   /* it does, or did until a moment ago: what the kernel says of it may not be the client's
                               business (readiness.h).  Set and cleared by conn_recount alone */
    bool copied;            /* copies of the fd exist that we cannot follow: never swap, never pool.  Any state but NEW;
                               never cleared */
    struct conn_fds fds;
    struct conn_opening opening;
    struct conn_request request;
    struct conn_reply reply;
    struct conn_after after;
    struct waiter waiter;
    struct exchange x;
    struct endpoint to;
    union endpoint_name peer;
    socklen_t peer_len;
    union endpoint_name reported_name; /* the own name that the client was given: it stays that, re-homed or not */
    struct idle idle;       /* what is known of the connection, as the pool knows it; its fd is not used */
    struct options options;
    struct conn *next_free;
    struct registrations registrations; /* last: of its `set` only what was noted is read */
};

/* Locked, or a guess.  Groups of states. */
static inline bool conn_is_new(const struct conn *c)
{
    return c->state >= CONN_NEW_UNREADY && c->state <= CONN_NEW_TOUCHED;
}
static inline bool conn_is_leased(const struct conn *c)
{
    return c->state == CONN_LEASED_UNREGISTERED || c->state == CONN_LEASED;
}
static inline bool conn_is_exchange(const struct conn *c)
{
    return c->state == CONN_EXCHANGE_PARTLY_SENT || c->state == CONN_EXCHANGE;
}
static inline bool conn_is_observed(const struct conn *c)
{
    return c->state == CONN_OBSERVED_PARTLY_SENT || c->state == CONN_OBSERVED;
}
static inline bool conn_is_secured(const struct conn *c)
{
    return c->state == CONN_SECURED;
}
static inline bool conn_is_asked(const struct conn *c) /* an exchange, adapted or observed */
{
    return c->state >= CONN_EXCHANGE_PARTLY_SENT && c->state <= CONN_OBSERVED;
}
static inline bool conn_head_partly_sent(const struct conn *c)
{
    return c->state == CONN_EXCHANGE_PARTLY_SENT || c->state == CONN_OBSERVED_PARTLY_SENT;
}
static inline bool conn_has_ended(const struct conn *c)
{
    return c->state >= CONN_ENDED_UNSWAPPED;
}
/* Something is owed under its number: see deferred.h. */
static inline bool conn_is_deferred(const struct conn *c)
{
    return (1U << CONN_LEASED_UNREGISTERED | 1U << CONN_ENDED_UNSWAPPED) >> c->state & 1;
}

/* Locked.  The client knows so much of the response, or more. */
static inline void conn_saw(struct conn *c, enum conn_seen seen)
{
    if (c->reply.seen < seen)
        c->reply.seen = seen;
}

/* Locked.  Are bytes held that the client has still to get?  libc must not have the socket before. */
static inline bool conn_holds_back(const struct conn *c)
{
    return (c->reply.held == HELD_RAW || c->reply.held == HELD_FOR_CLIENT) && hold_len(&c->reply.bytes);
}

extern atomic_uint conn_borrowed; /* how many are `borrowed` */
extern atomic_uint conn_deferred; /* how many are LEASED_UNREGISTERED or ENDED_UNSWAPPED: deferred.h */

/* Not locked. Locks the conn of an fd. NULL: the fd is not tracked, or not any more; or this thread is inside already
 * (a signal handler). Not in a vfork child: ask self_is_ours before. */
struct conn *conn_lock(int fd);

/* Locked; released.  A conn without numbers that no thread is inside of is free from here on. */
void conn_leave(struct conn *c);

/* Locked.  Is nothing missing of `need`? */
static inline bool conn_is_ready(const struct conn *c, enum need need)
{
    if (need == NEED_AS_IS)
        return true;
    return !((unsigned)(need == NEED_ALL ? CONN_LACKING : CONN_LACKING_BUT_END) >> c->state & 1);
}

/* Locked.  Does what is missing.  False: another thing was found under the numbers, and c has none any more. */
bool conn_make_ready(struct conn *c, enum need need);

/* Not locked.  Both.  NULL: make the plain libc call. */
static inline struct conn *conn_enter_ours(int fd, enum need need)
{
    struct conn *c = conn_lock(fd);

    if (!c || conn_is_ready(c, need) || conn_make_ready(c, need))
        return c;
    conn_leave(c);
    return NULL;
}

/* Not locked.  The same, and NULL in a vfork child, whose numbers are its own, but not this memory. */
struct conn *conn_enter(int fd, enum need need);

/* Locked; released.  Before a real call that may block: the thread can be cancelled, and `inside` tells the others.
 * After a thread was cancelled here, the connection is not pooled. */
void conn_outside_begin(struct conn *c);

/* Not locked; locks, behind conn_outside_begin.  What was true before need not be true: look at `generation`, the count
 * of numbers (0: closed, and the numbers may be somebody else's) and `state`. */
void conn_outside_end(struct conn *c);

/* What this thread holds of conns is given back when it ends.  `ends`, or NULL: is called then. */
void conn_watch_thread(void (*ends)(void));

/* An address that names the calling thread. */
const void *conn_self(void);

/* Not locked.  A new conn for an fd, in NEW or NEW_UNREADY, not locked either; NULL: not tracked.  Replaces whatever the
 * table had. */
struct conn *conn_create(int fd, bool cloexec, enum conn_state state);

/* The same for a number of the table that leads nowhere. */
struct conn *conn_make(int fd, bool cloexec, enum conn_state state);

/* Not locked by this call. For a signal handler that finds its own thread inside (conn_enter said NULL, and it is not
 * gone): the number leaves the table at once, and the conn when it is unlocked. False: it is not so. */
bool conn_close_from_handler(int fd);

/* Not locked by this call. What such a handler's send or receive answers: -EINTR, -EAGAIN, or CONN_PLAIN if it is not
 * so. A real call would take bytes out of the middle of what the interrupted one follows. */
ssize_t conn_answer_busy(int fd, int flags);

/* Whether the number, one of c's, still leads here. */
static inline bool conn_owns(const struct conn *c, int fd)
{
    return conn_find(fd) == c;
}

/* Locked.  One more number; false: no room. */
bool conn_add_fd(struct conn *c, int fd, bool cloexec);

/* Locked.  The number leaves the table.  The conn is freed with its last number; conn_leave still follows. */
void conn_drop_fd(struct conn *c, int fd);

/* Locked. The number was closed where we did not see it: under it lies nothing, or another thing. So nothing is put
 * there, nor taken out of an epoll set; what lies in the table for somebody else stays. */
void conn_lose(struct conn *c, int fd);

/* Not locked.  A number that was closed where we did not see it leads to another conn now, or to none: `stale`, which the
 * table had, loses the number.  Nothing is put under the number. */
void conn_drop_stale(struct conn *stale, int fd);

/* Not locked.  The kernel has just given out the number: whatever was known under it was closed where we did not see it,
 * and is parked or closed now. */
void conn_number_is_new(int fd);

/* Locked.  The number to make real calls by, of one that the client has called with: fd, or another one if that was
 * closed meanwhile; -1: all were. */
static inline int conn_number(const struct conn *c, int fd)
{
    for (int i = 0; i < c->fds.count; i++)
        if (c->fds.numbers[i].fd == fd)
            return fd;
    return c->fds.count ? c->fds.numbers[0].fd : -1;
}

/* Locked; released inside.  Waits until no other thread is connecting another socket for c; false: one still is after so many
 * milliseconds. */
bool conn_wait_for_reconnect(struct conn *c, int most_ms);
static inline void conn_wait_reconnected(struct conn *c)
{
    enum { MOST_MS = 30000 }; /* it left by longjmp */

    if (c->use.reconnecting)
        conn_wait_for_reconnect(c, MOST_MS);
}
/* The same for a wait of the client's, which has a time of its own: one turn of it. */
static inline bool conn_wait_turn(struct conn *c)
{
    enum { TURN_MS = 5 };

    return !c->use.reconnecting || conn_wait_for_reconnect(c, TURN_MS);
}

/* Locked.  The client has set or cleared FD_CLOEXEC on this number. */
void conn_set_cloexec(struct conn *c, int fd, bool on);

/* Locked.  Brings `borrowed` up to date; whoever changes `reused`, `nonblocking`, `reply.first` or `x.end_when_awaited` calls it. */
void conn_recount(struct conn *c);

/* Locked, EXCHANGE.  Ends the sending side for the library's sake: see after.end_asked. */
void conn_end_sending(struct conn *c);

/* Locked, with numbers.  The same, so that the server closes.  `over`: that is all that is expected of it, and directly it
 * would have come with the response: waits for it a moment. */
void conn_ask_end(struct conn *c, bool over);

/* Locked.  The only way to change the state.  A move that states.def does not have is logged, and made: the program
 * goes on.  In debug builds (base/debug.h) every move is logged, and such a one ends the program. */
void conn_set_state(struct conn *c, enum conn_state state);

/* Locked.  Nothing is owed for c any more: it was done, or its number is closed. */
static inline void conn_deferred_over(struct conn *c)
{
    if (conn_is_deferred(c))
        conn_set_state(c, conn_has_ended(c) ? CONN_ENDED : CONN_LEASED);
}

/* Locked.  This first answer is held from here on, or, NULL, none is. */
void conn_hold_first(struct conn *c, struct first_answer *first);

/* Locked.  The first answer, if there is one, is of no use any more. */
void conn_drop_first(struct conn *c);

/* Locked, without numbers.  Nothing of it stays; the lock does. */
void conn_set_free(struct conn *c);

/* Locked.  Does what a signal handler has left unfinished: the numbers that it has closed are gone. */
void conn_finish(struct conn *c);

/* Locked.  Leaves all its numbers to libc alone.  Held bytes must have been dealt with. */
void conn_bypass(struct conn *c, enum reason why);

/* Locked.  Marks what the pool must not have; the first reason counts. */
void conn_forbid_parking(struct conn *c, enum reason why);

/* Locked. Writes a log line and counts a reason for this connection (conn/event.h). If a reused one is found with more
 * bytes on it than its answer, the answer may have been one to an earlier request, come too late for anybody to tell:
 * that is not to happen again with this endpoint. */
void conn_note(const struct conn *c, enum reason why);

/* Not locked, and calls `each` for every conn in use so: for the child of a fork. */
void conn_each(void (*each)(struct conn *c));

/* Not locked.  Calls `each` for every borrowed one, or for all that have a number, locked, until it says true. */
void conn_each_entered(bool all, bool (*each)(struct conn *c, void *arg), void *arg);

/* In the constructor: no conn can be made before. */
void conn_init(void);
extern struct lock conn_arena_lock;

/* In the child of a fork: no conn is locked, or waits for a thread that is not there.  libc alone has the numbers of one that
 * another thread was changing: a fork does not wait for that, since the thread may wait for what the fork holds. */
void conn_after_fork(void);

/* What the functions that do a call's work for a hook answer besides a count or -errno. */
enum {
    CONN_PLAIN = -5000,   /* make the plain libc call: the conn does not matter (any more) */
    CONN_SIGPIPE = -5001, /* EPIPE, and the signal is ours to raise */
};

/* Locked.  What a call answers whose conn has lost all its numbers while the thread was outside. */
ssize_t conn_lost(const struct conn *c);

#endif
