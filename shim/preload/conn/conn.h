/* conn: what is known of one tracked TCP socket, and the table that leads from an fd number to it.
 *
 * Theory of operation.  A socket(2) of the right kind gets a conn.  The client's fd is always a real
 * socket; what changes is which socket lies under the number.
 *
 *   NEW       not connected.  Options and the bound address are remembered.
 *   FRESH     connected, or connecting, by a real connect; its first request is not whole yet.
 *   LEASED    an idle connection lies under the fd; nothing has been sent on it for this client.
 *   EXCHANGE  an adapted request has been recognised; bytes of both sides pass through `x`.
 *   OBSERVED  the client manages persistence itself; not a byte changes, `x` only follows.
 *   ENDED     the response was delivered; the end-of-file socket (or a socket that was shut down)
 *             lies under the fd.
 *
 * | state    | client may send            | client may receive         | socket may be swapped |
 * | NEW      | libc's answer              | libc's answer              | yes: lease            |
 * | FRESH    | the request's head         | libc's answer              | no                    |
 * | LEASED   | the request's head         | nothing; else re-home      | yes: re-home          |
 * | EXCHANGE | the request's body         | the response               | once: replay, end     |
 * | OBSERVED | libc's answer              | libc's answer              | once: replay, end     |
 * | ENDED    | once swallowed, then EPIPE | 0                          | no                    |
 *
 * Whatever does not fit is forgotten: the number leaves the table and libc alone has it.
 *
 * Memory: conns come from blocks that never turn into anything else, so a stale pointer from the
 * table still points at a conn, and conn_enter finds under its lock whether it is still the one.
 * Locking: `lock` guards all of it and is never held across a call that can block.  Its holder cannot be
 * cancelled (preload/libc/cancel.h): a thread that ends in a real call would hold it for ever. */
#ifndef HOLDFAST_PRELOAD_CONN_H
#define HOLDFAST_PRELOAD_CONN_H

#include "base/lock.h"
#include "http/exchange.h"
#include "pool/endpoint.h"
#include "pool/pool.h"
#include "preload/fds/hold.h"
#include "preload/fds/registrations.h"
#include "preload/fds/options.h"
#include "preload/fds/spare.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    CONN_TABLE_SIZE = 65536, /* fds above are not tracked */
    CONN_FDS = 8,            /* numbers that may lead to one conn */
};

enum conn_state {
    CONN_FREE,
    CONN_NEW,
    CONN_FRESH,
    CONN_LEASED,
    CONN_EXCHANGE,
    CONN_OBSERVED,
    CONN_ENDED,
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
    atomic_bool closed_in_handler; /* a signal handler closed one of the numbers while its thread held the lock */
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

/* NEW, and FRESH while it connects. */
struct conn_opening {
    struct spare spare;
    bool connect_pending; /* a connect was answered with EINPROGRESS or EINTR, and none has asked for the outcome
                             since: it is 0, or in FRESH what the kernel says */
};

/* What the client sends, and what became of it. */
struct conn_request {
    struct hold bytes;         /* FRESH, LEASED: the beginning of a head, `start` bytes of it are sent.
                                  EXCHANGE: the adapted head, sent up to `start`; kept, with a small body,
                                  for as long as a replay is possible.  OBSERVED: what a replay would send */
    struct hold rest;          /* OBSERVED: the beginning of the client's next head.  It was sent.  (The
                                  server's lies in `reply.bytes`: the client has it.) */
    struct hold behind;        /* EXCHANGE: sent by the client behind its request, and waiting for the head of the
                                  answer */
    uint64_t withheld_ms;      /* when the newest was sent of what is withheld (withheld.h), 0: nothing is */
    int error;                 /* to be given to the client by its next send, 0: none */
    bool head_partly_sent;     /* the adapted head went out in part; the client still has its last byte */
    bool replayed;
    bool connects_by_send;     /* the first send connects: re-homed without waiting, or the client's own way */
    bool clients_own_fastopen; /* the latter, until it has been tried: it knows what EINPROGRESS means */
};

/* EXCHANGE, OBSERVED, and ENDED while held bytes are left: what the server sends, and what the client has got of it. */
struct conn_reply {
    struct hold bytes;          /* raw bytes of a head that is not whole, or edited ones for the client.  OBSERVED: raw
                                   bytes that the client has not got yet, or the beginning of a head that it has */
    struct first_answer *first; /* held while the request is asked once more; or NULL: provisional.h */
    size_t peeked_unread;       /* bytes that were followed but still lie in the kernel's queue */
    size_t undiscarded;         /* ... that the client has got, and that could not be taken out */
    int error;                  /* to be given to the client after the held bytes, 0: none */
    int kernel_error;           /* what the kernel has told a look ahead, instead of the next receive */
    bool raw;                   /* `bytes` is not edited */
    bool tail;                  /* the last byte of an edited head still lies in the kernel's queue */
    bool tail_ends;             /* ... and the response ends with it */
    bool expected;              /* the client was told of input that then came to nothing: see recv.c */
    bool given;                 /* the client has got, or seen, bytes of the response */
    bool peeked;                /* the client has peeked at the body */
    bool broken;                /* a decoded body was: one error, then the end, as after a reset */
};

/* What the client has done since it connected. */
struct conn_after {
    bool write_shut;     /* it has ended its sending side */
    bool read_shut;      /* ... its receiving side */
    bool swallowed_send; /* ENDED: one send was swallowed already */
};

/* Of a conn that waits for its first byte: see stall.h; its lock guards all but `waits`. */
struct waiter {
    bool waits;
    uint64_t due_ms;      /* when to let go next */
    uint64_t relieved_ms; /* when something was let go, 0: nothing was */
    uint32_t turn_ms, turns;
    int fd;               /* one of the client's, to ask the kernel by: nothing depends on what lies under it */
    _Atomic uint8_t sent; /* enum stall_sent */
    uint64_t acknowledged, progress_ms; /* so many bytes when it was last looked; since when no more */
    uint64_t ticket;      /* tells this wait from others of the same conn */
    struct conn *next, **link;
};

struct conn {
    struct lock lock;
    struct conn_use use;
    enum conn_state state;
    enum conn_trial trial;
    enum reason unparkable; /* found outside of the exchange: why not to park, or REASON_none */
    bool nonblocking;
    bool reused;            /* the socket has served requests before this one */
    atomic_bool borrowed;   /* it does, or did until a moment ago: what the kernel says of it may not be the client's
                               business (readiness.h).  Set and cleared by conn_recount alone */
    bool copied;            /* copies of the fd exist that we cannot follow: never swap, never pool */
    bool end_owed;          /* ENDED, and the connection still lies under the fd: see deferred.h */
    bool add_owed;          /* LEASED: its only registration is not in the set yet: see deferred.h */
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

extern struct conn *_Atomic conn_table[CONN_TABLE_SIZE];
extern atomic_uint conn_borrowed; /* how many are `borrowed` */
extern struct conn conn_private; /* stands in the table for our own fds: to the client they are closed */

/* The conn of an fd, or NULL: one load and one branch for what is not tracked. */
static inline struct conn *conn_find(int fd)
{
    if ((unsigned)fd >= CONN_TABLE_SIZE)
        return NULL;
    return atomic_load_explicit(&conn_table[fd], memory_order_relaxed);
}

/* What has to be true of the socket under an fd for what is about to happen: see spare.h, deferred.h. */
enum need {
    NEED_AS_IS,       /* nothing: it leaves nothing behind on the socket of a NEW conn, and does not touch that of an
                         ENDED one */
    NEED_ALL_BUT_END, /* a spare is what the client believes it is, a registration is in its set */
    NEED_ALL,         /* and an end of file lies under an ENDED number.  The socket of a NEW conn counts as touched */
};

/* Locks the conn of an fd.  NULL: the fd is not tracked, or not any more; or this thread is inside already (a signal
 * handler).  Not in a vfork child: ask self_is_ours before. */
struct conn *conn_lock(int fd);
void conn_leave(struct conn *c);

/* Locked.  Is nothing missing of `need`? */
static inline bool conn_is_ready(const struct conn *c, enum need need)
{
    if (need == NEED_AS_IS)
        return true;
    return !c->opening.spare.unready && !c->add_owed && (need == NEED_ALL_BUT_END || (!c->end_owed && c->state != CONN_NEW));
}

/* Locked.  Does what is missing.  False: another thing was found under the numbers, and c has none any more. */
bool conn_make_ready(struct conn *c, enum need need);

/* Both.  NULL: make the plain libc call. */
static inline struct conn *conn_enter_ours(int fd, enum need need)
{
    struct conn *c = conn_lock(fd);

    if (!c || conn_is_ready(c, need) || conn_make_ready(c, need))
        return c;
    conn_leave(c);
    return NULL;
}

/* The same, and NULL in a vfork child, whose numbers are its own, but not this memory. */
struct conn *conn_enter(int fd, enum need need);

/* Around a real call that may block: the lock is not held, the thread can be cancelled, and `inside` tells
 * the others.  What was true before need not be true after: look at `generation`, `nfds` (0: closed, and
 * the numbers may be somebody else's) and `state`.  After a thread was cancelled in between, the
 * connection is not pooled. */
void conn_outside_begin(struct conn *c);
void conn_outside_end(struct conn *c);

/* An address that names the calling thread. */
const void *conn_self(void);

/* A new conn of state NEW for an fd, unlocked; NULL: not tracked.  Replaces whatever the table had. */
struct conn *conn_create(int fd, bool cloexec);

/* For a signal handler that finds its own thread inside (conn_enter said NULL, and it is not gone): the number
 * leaves the table at once, and the conn when it is unlocked.  False: it is not so. */
bool conn_close_from_handler(int fd);

/* What such a handler's send or receive answers: -EINTR, -EAGAIN, or CONN_PLAIN if it is not so.  A real call
 * would take bytes out of the middle of what the interrupted one follows. */
ssize_t conn_answer_busy(int fd, int flags);

/* Whether the number, one of c's, still leads here. */
static inline bool conn_owns(const struct conn *c, int fd)
{
    return conn_find(fd) == c;
}

/* One more number for a locked conn; false: no room. */
bool conn_add_fd(struct conn *c, int fd, bool cloexec);

/* The number leaves the table.  The conn is freed with its last number; conn_leave still follows. */
void conn_drop_fd(struct conn *c, int fd);

/* Locked.  The number was closed where we did not see it: under it lies nothing, or another thing.  So nothing is put there,
 * nor taken out of an epoll set; what lies in the table for somebody else stays. */
void conn_lose(struct conn *c, int fd);

/* A number that was closed where we did not see it leads to another conn now, or to none: `stale`, which the
 * table had, loses the number.  Nothing is put under the number.  No conn is locked. */
void conn_drop_stale(struct conn *stale, int fd);

/* The kernel has just given out the number: whatever was known under it was closed where we did not see it, and
 * is parked or closed now.  No conn is locked. */
void conn_number_is_new(int fd);

/* The number to make real calls by, of one that the client has called with: fd, or another one if that was
 * closed meanwhile; -1: all were. */
int conn_number(const struct conn *c, int fd);

/* Until no other thread is connecting another socket for c. */
void conn_wait_reconnected(struct conn *c);

/* The client has set or cleared FD_CLOEXEC on this number. */
void conn_set_cloexec(struct conn *c, int fd, bool on);

/* Brings `borrowed` up to date; whoever changes `reused`, `end_owed` or `x.end_when_awaited` calls it. */
void conn_recount(struct conn *c);

/* The only way to change the state of a locked conn. */
void conn_set_state(struct conn *c, enum conn_state state);

/* Leaves all its numbers to libc alone.  Held bytes must have been dealt with. */
void conn_bypass(struct conn *c, enum reason why);

/* Marks what the pool must not have; the first reason counts. */
void conn_forbid_parking(struct conn *c, enum reason why);

/* Writes a log line and counts a reason for this connection.  If a reused one is found with more bytes on
 * it than its answer, the answer may have been one to an earlier request, come too late for anybody to
 * tell: that is not to happen again with this endpoint. */
void conn_note(const struct conn *c, enum reason why);

/* Calls `each` for every conn in use, without locks: for the child of a fork. */
void conn_each(void (*each)(struct conn *c));

/* Calls `each` for every borrowed one, locked, until it says true. */
void conn_each_borrowed(bool (*each)(struct conn *c, void *arg), void *arg);
void conn_init(void);
extern struct lock conn_arena_lock;

/* In the child of a fork: no conn is locked, or waits for a thread that is not there. */
void conn_after_fork(void);

/* What the functions that do a call's work for a hook answer besides a count or -errno. */
enum {
    CONN_PLAIN = -5000,   /* make the plain libc call: the conn does not matter (any more) */
    CONN_SIGPIPE = -5001, /* EPIPE, and the signal is ours to raise */
};

/* What a call answers whose conn has lost all its numbers while the thread was outside. */
ssize_t conn_lost(const struct conn *c);

#endif
