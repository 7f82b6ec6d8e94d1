/* SPDX-License-Identifier: ISC */
/* parts: what a conn (conn.h) consists of.  Each part says in which states (states.def) it counts. */
#ifndef HOLDFAST_PRELOAD_PARTS_H
#define HOLDFAST_PRELOAD_PARTS_H

#include "preload/fds/hold.h"
#include "preload/fds/spare.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct conn;

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
    HELD_RAW,        /* as the server sent them; the client does not get them yet.  EXCHANGE: a head that is not whole;
                        OBSERVED: nor is it known whose answer they are */
    HELD_FOR_CLIENT, /* for the client.  EXCHANGE, ENDED: edited, and followed.  OBSERVED: as the server sent them, to be
                        followed when the client has got all of them */
    HELD_GIVEN,      /* OBSERVED: the beginning of a head, which the client has got */
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

/* An answer that is held while its request is asked once more: wire/provisional.h. */
struct first_answer {
    int fd; /* the connection that it came on, ours */
    unsigned status;
    struct hold bytes; /* that are not in the kernel any more */
    size_t cap;        /* of this block */
};

/* EXCHANGE, OBSERVED, and ENDED while held bytes are left: what the server sends, and what the client has got of it. */
struct conn_reply {
    struct hold bytes;
    struct first_answer *first; /* or NULL.  Set by conn_hold_first */
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

/* ENDED: the client has sent something, which its server would have answered by a reset. */
enum conn_reset {
    RESET_NOT,
    RESET_PENDING, /* ... and it was not told so yet: EPIPE by the next send, or by SO_ERROR */
    RESET_TOLD,
};

/* What the client has done since it connected.  Nothing of it is undone. */
struct conn_after {
    atomic_bool write_shut; /* EXCHANGE, OBSERVED, ENDED: it has ended its sending side, and the kernel does not know */
    uint8_t reset;       /* enum conn_reset; set by under_reset and under_reset_told alone */
    bool read_shut : 1;  /* any state but NEW: ... its receiving side */
    bool write_ended : 1; /* EXCHANGE: ... its sending side, as the kernel knows: in ENDED it is write_shut */
    bool bound : 1;      /* ENDED: a bind was answered (hooks/connect.c) */
    bool own_end : 1;    /* ENDED: the end-of-file socket under the numbers is this client's alone: libc answers, but for the
                            names.  Set by under_end_of_its_own */
    bool end_asked : 1;  /* EXCHANGE: the library, not the client, has ended the sending side, so that the server closes.
                            Set by conn_end_sending; waits hide the POLLHUP that comes of it */
    int lowat;           /* EXCHANGE, ENDED: the SO_RCVLOWAT that the client has set, and the kernel has not; 0: none */
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

#endif
