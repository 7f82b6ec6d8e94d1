/* SPDX-License-Identifier: ISC */
/* readiness: poll, select and epoll_wait, without what the kernel says of a reused connection that ended before a byte of an
 * answer came.  Another connection takes its place, the request is sent again, and the wait goes on for the rest of its time:
 * the client sees only what the fresh connection brings.  If no request was sent yet, the client is told that it can write:
 * what it writes goes out on another connection.
 *
 * A client that blocks calls a receive because it was told of input.  So it is not told of what gives it nothing: framing, or
 * the beginning of a head (lookahead_takes_all).
 *
 * What the kernel says of everything else is true, and passes as it is, without one more system call.  Such an end shows
 * itself by POLLERR, POLLHUP or POLLRDHUP, which the library asks for in addition (fds/registrations.h).  select(2) does not
 * tell an end from bytes: there a reused connection is looked at, once for each exchange.
 *
 * No conn is locked when these are called, but for readiness_hides_hangup. */
#ifndef HOLDFAST_PRELOAD_READINESS_H
#define HOLDFAST_PRELOAD_READINESS_H

#include "preload/conn/conn.h"
#include "preload/wire/listening.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

enum { READINESS_POLLED = 64, READINESS_SELECTED = 8192 };

/* One wait of libc, on its caller's stack: what it waits for, and by which call. */
struct wait {
    const struct wait_family *family;
    bool again;        /* set by the call: what was found may not be true of what lies there now (listening.h) */
    unsigned replaced; /* swap_replaced before the call */
    /* The real call, once.  `time` NULL: for ever; `mask` NULL: the thread's own. */
    int (*call)(struct wait *w, const struct timespec *time, const sigset_t *mask);
    union {
        struct {
            struct pollfd *fds, *asked; /* asked: `fds`, or `room` where the kernel is asked for more */
            nfds_t n;
            uint64_t hung_up; /* those in `room` that are not asked for: there is nothing more to be said of them */
            struct pollfd room[READINESS_POLLED]; /* of more than these, the ends that come without an error show when
                                                     the client receives */
        } poll;
        struct {
            int n;
            bool is_saved;
            fd_set *given[3];
            unsigned long *saved; /* three sets, of readiness_words(n) each */
        } select;
        struct {
            int epfd, most;
            struct epoll_event *events;
        } epoll;
    };
};

/* Makes w a wait of poll for these.  `masked`: by ppoll; else by poll as long as there is no signal mask. */
void readiness_of_poll(struct wait *w, bool masked, struct pollfd *fds, nfds_t n);

/* How many words each set of a select below n has: never 0, and not more than for READINESS_SELECTED. */
static inline size_t readiness_words(int n)
{
    return n <= 0 || n > READINESS_SELECTED ? 1 : listening_words(n);
}

/* Makes w a wait of select for the numbers below n: to read, to write, exceptional; NULL: none.  `masked`: by pselect.
 * `room`: three sets of readiness_words(n) words, on its caller's stack, which may be small. */
void readiness_of_select(struct wait *w, bool masked, int n, fd_set *const given[3], unsigned long *room);

enum readiness_epoll { READINESS_WAIT, READINESS_PWAIT, READINESS_PWAIT2 };

/* Makes w a wait for the epoll set epfd, of `most` events.  `how`: by epoll_wait as long as there is no signal mask; by
 * epoll_pwait; by epoll_pwait2. */
void readiness_of_epoll(struct wait *w, enum readiness_epoll how, int epfd, struct epoll_event *events, int most);

/* Waits for `time` (NULL: for ever) with the signal mask `mask` (NULL: the thread's own).  Returns what libc's function
 * would: how many are ready, 0, or -1 and errno.  A process without a reused connection pays one load. */
int readiness_wait(struct wait *w, const struct timespec *time, const sigset_t *mask);

/* What readiness.c and waiting.c ask of each kind of wait. */
struct wait_family {
    bool (*begin)(struct wait *w);            /* is a borrowed connection among what it waits for, or one that another
                                                 thread may replace? */
    int (*tell)(struct wait *w, int ready);   /* how many of `ready` the client is told of; 0: none, as if nothing were, and
                                                 wait again */
    bool (*ended)(struct wait *w, int ready); /* has an end come with the bytes that `ready` are told of (endwait.h)?  Then
                                                 the call has more to say */
    bool (*repeats)(struct wait *w);          /* before the call is made more than once.  False: it cannot be */
    bool (*deferred)(struct wait *w);         /* is an end among it that the kernel was not told of (deferred.h)? */
    int (*tell_deferred)(struct wait *w, int ready); /* how many are ready with those */
    bool (*awaits_end)(struct wait *w);       /* does it wait for an end alone (endwait.h)?  What can be ended is */
    bool says_again; /* asked again, the kernel says it again: so it is, where another thread may have put another socket since.
                        An epoll set need not: its `tell` asks for what it has said */
};

/* How much of a wait is left. */
struct readiness_time {
    bool for_ever;
    struct timespec until, left;
};

/* The wait begins now, and lasts for `time`; NULL: for ever. */
void readiness_begin(struct readiness_time *t, const struct timespec *time);

/* What is left of it: 0 or more; NULL: for ever.  It is valid until the next call with t. */
const struct timespec *readiness_left(struct readiness_time *t);

/* Milliseconds, as poll has them, in *room; NULL for a negative number: for ever. */
const struct timespec *readiness_time(int ms, struct timespec *room);

/* The other way, rounded up; -1 for NULL. */
int readiness_ms(const struct timespec *time);

/* Locked.  Does a wait say POLLHUP because the library, and not the client, has ended the sending side? */
static inline bool readiness_hides_hangup(const struct conn *c, uint32_t told)
{
    return c->after.end_asked && conn_is_exchange(c) && !c->after.write_shut && !c->after.write_ended && told & POLLHUP && !(told & POLLERR);
}

/* Locked.  c is in an epoll set, or may be soon: does a receive of the client's wait?  Then what the set tells of input is
 * looked at. */
extern atomic_bool readiness_blocking_in_set; /* of any; stays true */
static inline void readiness_note(const struct conn *c)
{
    if (!c->nonblocking)
        atomic_store_explicit(&readiness_blocking_in_set, true, memory_order_relaxed);
}

/* Locked.  The client says whether its calls on c wait. */
static inline void readiness_set_nonblocking(struct conn *c, bool nonblocking)
{
    c->nonblocking = nonblocking;
    conn_recount(c);
    if (c->registrations.count)
        readiness_note(c);
}

static inline bool readiness_any(void)
{
    return __builtin_expect(atomic_load_explicit(&conn_borrowed, memory_order_relaxed) != 0, 0);
}

#endif
