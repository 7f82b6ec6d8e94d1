/* SPDX-License-Identifier: ISC */
/* outgoing: bringing a request onto the wire: the head that lies in `request`, what follows it, and all
 * of it again if the connection was dead.  Of a locked conn. */
#ifndef HOLDFAST_PRELOAD_OUTGOING_H
#define HOLDFAST_PRELOAD_OUTGOING_H

#include "preload/conn/conn.h"

#include <sys/types.h>
#include <sys/uio.h>

/* The client's pieces behind a head, of which `skip` bytes have been dealt with. */
struct outgoing_pieces {
    const struct iovec *iov;
    int n;
    size_t skip;
};

enum { OUTGOING_PIECES = 64 };

/* What of a call goes out in one real call: one segment, where it fits one. */
struct outgoing_batch {
    struct iovec iov[OUTGOING_PIECES];
    int n;
    bool more;                 /* there are more pieces than room for them here */
    bool cut;                  /* not all of the piece that was looked at last goes out now ... */
    struct exchange_step stop; /* ... because of this */
    size_t len;                /* of the pieces, in all */
};

/* An empty one: most of `iov` is never written to. */
static inline void outgoing_begin(struct outgoing_batch *batch)
{
    batch->n = 0;
    batch->len = 0;
    batch->more = batch->cut = false;
}

/* Adds to a batch what passes of these pieces: all of them, where the client is observed. */
void outgoing_collect(const struct conn *c, struct outgoing_pieces from, struct outgoing_batch *batch);

/* `len` bytes of what outgoing_collect let pass have gone out: the exchange follows them.  OBSERVED: libc alone has the
 * socket then, and c no number, if nobody can follow it any more. */
void outgoing_sent(struct conn *c, const struct iovec *iov, size_t len);

/* OBSERVED: the same for whoever else has shown bytes to the exchange. */
void outgoing_leave_if_lost(struct conn *c);

/* Can it be written to, within a second? */
bool outgoing_writable(int fd);

/* One real send.  After a re-home without waiting the first one also connects: it is accepted at once,
 * and the client's own wait for the answer does the waiting (tcp(7), TCP_FASTOPEN).  Bytes or -errno. */
ssize_t outgoing_transmit(struct conn *c, int fd, struct iovec *iov, int n, int flags);

/* Can the request, with a head of `head` bytes, be held whole until its response begins? */
bool outgoing_holdable(const struct conn *c, size_t head);

/* Sends all of it, and waits if the socket has no room: only for what the client believes sent.  0 or
 * -errno. */
int outgoing_all(struct conn *c, int fd, const char *bytes, size_t len);

/* Sends the head in `request` and, in the same call, the body behind it that came with it.  Returns
 * the body bytes sent; -EAGAIN with the head sent in part (`request.start` tells) or not at all; or
 * -errno.  A reused connection that turns out to be dead is replaced: nothing was asked on it yet. */
ssize_t outgoing_head(struct conn *c, int fd, struct outgoing_pieces body, int flags);

/* Keeps sent bytes behind the head while the request may have to be sent again. */
void outgoing_keep(struct conn *c, const char *bytes, size_t len);

/* Could the request that is on its way be sent again, if its connection broke now? */
bool outgoing_may_replay(const struct conn *c);

/* A reused connection broke before its response began: sends the request again on a fresh one.  0 when
 * it is under way; -errno when it cannot be done (not idempotent, not held whole, second time): the
 * client must see what happened. */
int outgoing_replay(struct conn *c);

/* The same, never waiting for the connection, whether the client blocks or not.  What does not fit the first segment
 * waits for it, for a second at most. */
int outgoing_replay_at_once(struct conn *c);

/* A send on a reused connection failed in the middle of a request.  True: what went before has been sent
 * again on a fresh one, and this send is to be tried again.  False: the client must see the error. */
bool outgoing_mend(struct conn *c, int error);

/* As send(2), without the lock; *error is its errno.  A server that has not accepted the connection takes as
 * much as the kernel does: see stall.h. */
ssize_t outgoing_send(struct conn *c, int fd, const struct iovec *iov, int n, int flags, int *error);

/* Bytes of a request are about to be sent, or were: where a break could not be mended from here on, there is to be none
 * (preload/conn/path.h). */
void outgoing_sending_guarded(struct conn *c);
static inline void outgoing_sending(struct conn *c)
{
    if (c->idle.guarded)
        outgoing_sending_guarded(c);
}

#endif
