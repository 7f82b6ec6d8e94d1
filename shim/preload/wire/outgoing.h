/* SPDX-License-Identifier: ISC */
/* outgoing: the real send calls: a request's head, what follows it in the same call, and all of it again on a fresh
 * connection if a reused one turns out to be dead (a replay).
 *
 * c->request.bytes has the head as it goes out; its first `start` bytes are sent.  For as long as a replay is possible, the
 * bytes stay there, with the body that was sent behind them. */
#ifndef HOLDFAST_PRELOAD_OUTGOING_H
#define HOLDFAST_PRELOAD_OUTGOING_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* The pieces of the client's call. */
struct outgoing_pieces {
    const struct iovec *iov;
    int n;
    size_t skip; /* so many bytes, from the first piece on, have been dealt with: sent, held or dropped */
};

enum { OUTGOING_PIECES = 64 };

/* What goes out in one real call, so that it is one segment where it fits one. */
struct outgoing_batch {
    struct iovec iov[OUTGOING_PIECES];
    int n;
    bool more;                 /* the client's call has more pieces than there was room for here */
    bool cut;                  /* not all of the piece that was looked at last goes out now ... */
    struct exchange_step stop; /* ... because the exchange said this of it */
    size_t len;                /* bytes of all pieces here */
};

/* Makes a batch empty.  Most of `iov` is never written to. */
static inline void outgoing_begin(struct outgoing_batch *batch)
{
    batch->n = 0;
    batch->len = 0;
    batch->more = batch->cut = false;
}

/* Locked.  Adds to a batch what may go out of these pieces now: everything, where the client is observed.  The exchange does
 * not follow it yet. */
void outgoing_collect(const struct conn *c, struct outgoing_pieces from, struct outgoing_batch *batch);

/* Locked.  `len` bytes of what outgoing_collect has put into `iov` went out: the exchange follows them.  OBSERVED: if it cannot
 * follow them any more, libc alone has the socket, and c has no number. */
void outgoing_sent(struct conn *c, const struct iovec *iov, size_t len);

/* Locked.  OBSERVED: leaves the socket to libc if the exchange cannot follow it any more. */
void outgoing_leave_if_lost(struct conn *c);

/* Waits for a second at most.  True: fd can be written to, or a signal came. */
bool outgoing_writable(int fd);

/* Locked.  One real send by fd, with the flags of send(2).  Where c->request.by_send says so, the send also connects
 * (tcp(7), TCP_FASTOPEN): the kernel accepts the bytes at once, and the client's wait for the answer does the waiting.
 * Returns how many bytes were accepted, or -errno. */
ssize_t outgoing_transmit(struct conn *c, int fd, struct iovec *iov, int n, int flags);

/* Locked.  Can the request, with a head of `head` bytes, be held whole (64 KiB at most) until its response begins? */
bool outgoing_holdable(const struct conn *c, size_t head);

/* Locked.  Sends all `len` bytes, and waits where the socket has no room, for a second each time: only for what the client
 * takes for sent.  0 or -errno. */
int outgoing_all(struct conn *c, int fd, const char *bytes, size_t len);

/* Locked; released while it waits or connects.  Sends what is left of the head in c->request.bytes and, in the same call,
 * the `body` that came with it.  A reused connection that turns out to be dead is replaced: nothing was asked on it yet.
 * Returns
 *   how many bytes of the body were sent, 0 or more: the head is sent whole
 *   -EAGAIN  the head was sent in part, or not at all: c->request.bytes.start tells
 *   -errno   nothing was sent */
ssize_t outgoing_head(struct conn *c, int fd, struct outgoing_pieces body, int flags);

/* Locked.  Bytes behind the head were sent: keeps them as long as a replay is possible, and gives up the replay where they are
 * too many. */
void outgoing_keep(struct conn *c, const char *bytes, size_t len);

/* Locked.  Could the request be sent again, if its connection broke now? */
bool outgoing_may_replay(const struct conn *c);

/* Locked; released while it connects.  A reused connection broke before its response began: sends the request again on a fresh
 * one.  0: it is under way; -ENOTSUP: it cannot be sent again (not idempotent, not held whole, or sent again already);
 * -errno: it could not be sent.  Where it is not 0, the client must see what happened. */
int outgoing_replay(struct conn *c);

/* Locked.  As outgoing_replay, but never waits for the connection.  What does not fit the first segment waits for a second at
 * most. */
int outgoing_replay_at_once(struct conn *c);

/* Locked; released while it connects.  A send on a reused connection failed with the errno `error` in the middle of a request.
 * True: what went before was sent again on a fresh one: try this send again.  False: the client must see the error. */
bool outgoing_mend(struct conn *c, int error);

/* Locked; released while it sends.  As sendmsg(2) with these pieces; *error is its errno.  A blocking send to a server that
 * answers nothing lets go of idle connections to it (conn/stall.h). */
ssize_t outgoing_send(struct conn *c, int fd, const struct iovec *iov, int n, int flags, int *error);

/* Locked.  Bytes of a request are about to be sent, or were sent.  If a break could not be mended by a replay from here on,
 * takes the kernel's early break away (conn/path.h). */
void outgoing_sending_guarded(struct conn *c);
static inline void outgoing_sending(struct conn *c)
{
    if (c->idle.guarded)
        outgoing_sending_guarded(c);
}

#endif
