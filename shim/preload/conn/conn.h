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
#include "preload/conn/state.h"
#include "preload/fds/hold.h"
#include "preload/fds/registrations.h"
#include "preload/fds/options.h"
#include "preload/fds/spare.h"
#include "preload/fds/table.h"
#include "preload/conn/first.h"
#include "preload/conn/withheld.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    CONN_FDS = 8,            /* numbers that may lead to one conn */
};

/* What the exchange is to show of its server: trial.h. */
enum conn_trial {
    TRIAL_NONE,
    TRIAL_DUE,     /* LEASED: whether the server answers a second request, if the request can be risked */
    TRIAL_SECOND,  /* ... is being tried; the one trial of this server is ours */
    TRIAL_CONTROL, /* a first request, after a second one was not answered: is the server only slow? */
    TRIAL_CLOSE,   /* whether the server closes when it is asked to */
    TRIAL_UNCHANGED, /* OBSERVED: a one-shot request that goes out as it is: the server would stay open otherwise */
    TRIAL_END,     /* EXCHANGE: whether the server closes behind an answer without a length, asked to persist */
};

struct conn_fd {
    int fd;
    bool cloexec;
};

/* Who is in here.  Any state. */
struct conn_use {
    int cancel;                    /* of the thread that holds the lock: for cancel_allow */
    unsigned inside;               /* threads inside real calls */
    const void *reader;            /* conn_self of the thread inside a real receive call, or NULL */
    const void *reconnecting;      /* the thread that connects another socket for it: whoever wants to send waits */
    atomic_bool unfinished;        /* something is to be done before it is unlocked: a signal handler closed one of the
                                      numbers while its thread held the lock, or registrations are held back */
    atomic_uint busy_answers;      /* calls of such a handler that were answered as busy */
};

/* The numbers, and what lies under them.  Any state. */
struct conn_fds {
    int count;
    unsigned generation; /* grows when another socket gets under the numbers */
    int private_fd;      /* another reference to the same socket, ours, or -1: the pool's while leased, the
                            spare's while NEW.  Closed with the conn, or moved on */
    bool closed;         /* by another thread, while one is inside: the numbers mean nothing any more */
    struct conn_fd numbers[CONN_FDS];
};

/* NEW_UNREADY to FRESH, and LEASED until its client has asked for the outcome of the connect. */
struct conn_opening {
    struct spare spare;   /* NEW_UNREADY, NEW: set by whoever made the conn */
    bool connect_pending; /* a connect was answered with EINPROGRESS or EINTR, and none has asked for the outcome
                             since: it is 0, or in FRESH what the kernel says */
};

/* Does the first send connect, by MSG_FASTOPEN? */
enum conn_by_send {
    BY_SEND_NO,
    BY_SEND_REHOMED,     /* yes: another socket was put under the numbers without waiting (swap.h) */
    BY_SEND_CLIENTS_OWN, /* yes: it is the client's way, who knows what EINPROGRESS means */
    BY_SEND_FAILED,      /* no more: the client's own has failed, which connecting_send_failed has to see to */
};

/* What the client sends, and what became of it. */
struct conn_request {
    struct hold bytes;    /* FRESH, LEASED: the beginning of a head, `start` bytes of it are sent.
                             EXCHANGE: the adapted head, sent up to `start`; kept, with a small body,
                             for as long as a replay is possible.  OBSERVED: what a replay would send */
    struct hold rest;     /* OBSERVED: the beginning of the client's next head.  It was sent.  (The
                             server's lies in `reply.bytes`: the client has it.) */
    struct hold behind;   /* EXCHANGE: sent by the client behind its request, and waiting for the head of the answer */
    uint64_t withheld_ms; /* when the newest was sent of what is withheld (withheld.h), 0: nothing is */
    int error;            /* EXCHANGE, OBSERVED: for the client's next send, which clears it.  0: none */
    enum conn_by_send by_send; /* FRESH, and EXCHANGE or OBSERVED that is replayed.  Set by swap.c and connecting.c,
                                  cleared by the send (outgoing.c) */
};

/* What `bytes` of a reply are. */
enum conn_held {
    HELD_NOTHING,
    HELD_RAW,    /* as the server sent them; the client has not got them.  EXCHANGE: a head that is not whole */
    HELD_EDITED, /* EXCHANGE, ENDED: for the client */
    HELD_GIVEN,  /* OBSERVED: the beginning of a head, which the client has got */
};

/* EXCHANGE: what was left in the kernel's queue of an edited head, so that the client finds the fd readable. */
enum conn_tail {
    TAIL_NONE,
    TAIL_BYTE, /* the last byte of the head */
    TAIL_END,  /* ... and the response ends with it */
};

/* EXCHANGE: what the client knows of the response.  It only grows. */
enum conn_seen {
    SEEN_NOTHING,
    SEEN_READABLE, /* it was, perhaps, told of input that then came to nothing, because the request was sent again: a
                      blocking client's MSG_DONTWAIT receive waits (recv.c).  Set by whoever sends again */
    SEEN_BYTES,    /* it has got, or seen, bytes: no replay any more.  Set by recv.c */
    SEEN_PEEKS,    /* ... by a peek behind the head.  Set by lookahead.c */
};

/* EXCHANGE, OBSERVED, and ENDED while held bytes are left: what the server sends, and what the client has got of it. */
struct conn_reply {
    struct hold bytes;
    struct first_answer *first; /* held while the request is asked once more; or NULL: provisional.h */
    size_t peeked_unread;       /* bytes that were followed but still lie in the kernel's queue */
    size_t undiscarded;         /* ... that the client has got, and that could not be taken out */
    int error;                  /* to be given to the client after the held bytes, 0: none */
    int kernel_error;           /* what the kernel has told a look ahead, instead of the next receive */
    enum conn_held held;
    enum conn_tail tail;
    enum conn_seen seen;
    bool broken;                /* EXCHANGE: a decoded body was: one error, then the end, as after a reset.  Set by
                                   incoming_follow */
};

/* What the client has done since it connected.  Nothing of it is undone. */
struct conn_after {
    atomic_bool write_shut; /* EXCHANGE, OBSERVED, ENDED: it has ended its sending side, and the kernel does not know */
    bool read_shut;      /* any state but NEW: ... its receiving side */
    bool swallowed_send; /* ENDED: one send was swallowed already */
    bool end_asked;      /* EXCHANGE: the library, not the client, has ended the sending side, so that the server closes.
                            Set by conn_end_sending; waits hide the POLLHUP that comes of it */
};

/* EXCHANGE, OBSERVED: waits for its first byte: stall.h, whose lock guards it.  Whether it waits may be asked under the
 * conn's lock as well. */
struct waiter {
    uint64_t ticket;      /* tells this wait from others of the same conn, 0: does not wait */
    uint64_t due_ms;      /* when to let go next */
    uint64_t relieved_ms; /* when something was let go, 0: nothing was */
    uint32_t turn_ms, turns;
    int fd;               /* one of the client's, to ask the kernel by: nothing depends on what lies under it */
    _Atomic uint8_t sent; /* enum stall_sent */
    uint64_t acknowledged, progress_ms; /* so many bytes when it was last looked; since when no more */
    struct conn *next, **link;
};

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

/* Locked.  The client knows so much of the response, or more. */
static inline void conn_saw(struct conn *c, enum conn_seen seen)
{
    if (c->reply.seen < seen)
        c->reply.seen = seen;
}

extern atomic_uint conn_borrowed; /* how many are `borrowed` */

/* What has to be true of the socket under an fd for what is about to happen: see spare.h, deferred.h. */
enum need {
    NEED_AS_IS,       /* nothing: it leaves nothing behind on the socket of a NEW conn, and does not touch that of an
                         ENDED one */
    NEED_ALL_BUT_END, /* a spare is what the client believes it is, a registration is in its set */
    NEED_ALL,         /* and an end of file lies under an ENDED number.  The socket of a NEW conn counts as touched */
};

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
int conn_number(const struct conn *c, int fd);

/* Locked; released inside.  Waits until no other thread is connecting another socket for c. */
void conn_wait_reconnected(struct conn *c);

/* Locked.  The client has set or cleared FD_CLOEXEC on this number. */
void conn_set_cloexec(struct conn *c, int fd, bool on);

/* Locked.  Brings `borrowed` up to date; whoever changes `reused`, `reply.first` or `x.end_when_awaited` calls it. */
void conn_recount(struct conn *c);

/* Locked, EXCHANGE.  Ends the sending side for the library's sake: see after.end_asked. */
void conn_end_sending(struct conn *c);

/* For the log. */
const char *conn_state_name(enum conn_state state);

/* Does states.def have this move? */
bool conn_may_become(enum conn_state from, enum conn_state to);

/* Locked.  The only way to change the state.  A move that states.def does not have is logged, and made: the program
 * goes on.  In debug builds (base/debug.h) every move is logged, and such a one ends the program. */
void conn_set_state(struct conn *c, enum conn_state state);

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

/* In the child of a fork: no conn is locked, or waits for a thread that is not there. */
void conn_after_fork(void);

/* What the functions that do a call's work for a hook answer besides a count or -errno. */
enum {
    CONN_PLAIN = -5000,   /* make the plain libc call: the conn does not matter (any more) */
    CONN_SIGPIPE = -5001, /* EPIPE, and the signal is ours to raise */
};

/* Locked.  What a call answers whose conn has lost all its numbers while the thread was outside. */
ssize_t conn_lost(const struct conn *c);

#endif
