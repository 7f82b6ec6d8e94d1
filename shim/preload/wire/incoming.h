/* SPDX-License-Identifier: ISC */
/* incoming: the real receive calls, and what follows from their bytes in an adapted exchange.  recv.h has what is built on it.
 *
 * The kernel must go on telling the truth about readiness.  So bytes are held in c->reply.bytes only where more is certain to
 * come from the kernel, or where the last byte of what is held stays in the kernel (enum conn_tail). */
#ifndef HOLDFAST_PRELOAD_INCOMING_H
#define HOLDFAST_PRELOAD_INCOMING_H

#include "preload/conn/conn.h"

#include <sys/types.h>

/* Bytes of a buffer that the longest head fits, edited. */
enum { INCOMING_ROOM = EXCHANGE_HEAD_MAX + EXCHANGE_RESPONSE_GROWTH + 1 };

/* One receive call of the client's, on its caller's stack. */
struct incoming {
    int fd;         /* to make real calls by; brought up to date by incoming_receive */
    int flags;      /* of the real calls: those of recv(2) without PEEK, WAITALL, DONTWAIT and TRUNC */
    bool peek;      /* the client's call has MSG_PEEK */
    bool wait;      /* a real call may block now */
    bool full;      /* the last real receive filled its buffer: the kernel may have more.  Set by incoming_receive */
    bool took;      /* bytes have been taken out of the kernel.  Set by incoming_receive */
    unsigned turns; /* how often another thread was found reading */
};

/* Locked; released while a call blocks.  EXCHANGE, OBSERVED: one real receive of up to `len` bytes, or a peek.  Sends what is
 * withheld before it blocks.  Returns
 *   bytes, 0 at the end of file, -errno   as recv(2)
 *   -ESTALE                               nothing: while the lock was released, the state or the socket has changed, or
 *                                         another thread was reading: look again */
ssize_t incoming_receive(struct conn *c, struct incoming *call, char *buf, size_t len, bool peek);

/* Locked.  EXCHANGE: may the response end within the next `len` bytes, in a program with threads?  Then these are only peeked
 * at, and the last one stays in the kernel until another socket lies under the number: a thread that begins to wait in between
 * is woken by it. */
bool incoming_leaves_queued(const struct conn *c, size_t len);

/* Locked; released while it waits.  Waits as a receive with these flags does, and takes nothing.  As recv(2): bytes, 0, or -1
 * and errno. */
ssize_t incoming_wait(struct conn *c, int fd, int flags);

/* Locked; released while it connects.  EXCHANGE, OBSERVED: the connection ended.  If the client has got no byte of the answer,
 * sends the request again on a fresh connection.  0: it is under way; -ENOTSUP: it cannot be sent again; -errno: for the
 * client. */
int incoming_replay(struct conn *c);

/* Locked; released while it connects.  EXCHANGE, OBSERVED: incoming_receive has returned n, which is 0 or -errno.  Returns
 * -ESTALE: receive again (the request was sent again, or bytes are held for the client); else what the client gets: 0 or
 * -errno. */
ssize_t incoming_at_end(struct conn *c, ssize_t n);

/* Locked.  EXCHANGE: exchange_server has followed bytes and said `reply`: does what follows from it for the conn.  At the end
 * of a response the state is ENDED, or libc alone has the socket.  Returns how many bytes are the client's. */
ssize_t incoming_follow(struct conn *c, struct exchange_reply reply);

/* Locked.  Takes bytes that were only peeked at out of the kernel; where `flow` is EXCHANGE_END, all but the last one (see
 * incoming_leaves_queued). */
void incoming_discard(struct conn *c, enum exchange_flow flow);

/* Locked.  EXCHANGE: the client has all of the response.  Parks or closes the connection and shows an end of file; or, where
 * the server closes by itself, leaves the socket to libc. */
void incoming_end(struct conn *c);

/* Locked.  How many bytes are held that the next receive gives to the client. */
static inline size_t incoming_for_client(const struct conn *c)
{
    return c->reply.held == HELD_FOR_CLIENT ? hold_len(&c->reply.bytes) : 0;
}

/* Locked.  EXCHANGE: the client is about to receive, or to wait for input.  Where that means that it waits for the server's
 * close (exchange_awaits_end), ends the sending side, so that the server closes. */
void incoming_awaits_end(struct conn *c);

/* Locked.  A call of the client's has returned messages, and then met the errno `error`: the next receive returns it. */
void incoming_tell_later(struct conn *c, int error);

#endif
