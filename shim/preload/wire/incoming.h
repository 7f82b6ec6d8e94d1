/* SPDX-License-Identifier: ISC */
/* incoming: one step of following the response of an adapted exchange.  Of a locked conn in EXCHANGE. */
#ifndef HOLDFAST_PRELOAD_INCOMING_H
#define HOLDFAST_PRELOAD_INCOMING_H

#include "preload/conn/conn.h"

#include <sys/types.h>

/* A block that the longest head fits, edited. */
enum { INCOMING_ROOM = EXCHANGE_HEAD_MAX + EXCHANGE_RESPONSE_GROWTH + 1 };

/* A receive call of the client. */
struct incoming {
    int fd;
    int flags;      /* for real calls: PEEK, WAITALL and DONTWAIT taken out */
    bool peek;
    bool wait;      /* may block now */
    bool full;      /* the last real receive filled its buffer: the kernel may have more */
    bool took;      /* bytes have been taken out of the kernel */
    unsigned turns; /* for which another thread was seen reading */
};

/* The next bytes for the client: > 0; 0 at the end; -ESTALE: nothing yet, call again; -errno.  `peeked`:
 * how many of the held bytes a peek has given already. */
ssize_t incoming_step(struct conn *c, struct incoming *call, char *buf, size_t len, size_t peeked);

/* A real receive, without the lock.  Bytes, 0, -errno, or -ESTALE: the world changed meanwhile. */
ssize_t incoming_receive(struct conn *c, struct incoming *call, char *buf, size_t len, bool peek);

/* Locked.  In a program with threads, another one may be about to wait for this socket: what may end the response within
 * the next `len` bytes is only looked at, and stays in the kernel until another socket lies under the number. */
bool incoming_leaves_queued(const struct conn *c, size_t len);

/* Waits like a receive but takes nothing: another thread will. */
ssize_t incoming_wait(struct conn *c, int fd, int flags);

/* What began to arrive answers an earlier request: replays ours on a fresh connection (-ESTALE), or ends
 * it by -ECONNRESET. */
ssize_t incoming_earlier_reply(struct conn *c);

/* The end came: if the client has not got anything of the answer, sends the request again on a fresh
 * connection.  As outgoing_replay. */
int incoming_replay(struct conn *c);

/* A receive gave 0 or -errno: what incoming_step answers then. */
ssize_t incoming_at_end(struct conn *c, ssize_t n);

/* Does what exchange_server has said; returns the bytes that are the client's. */
ssize_t incoming_follow(struct conn *c, struct exchange_reply reply);

/* The response is complete. */
void incoming_end(struct conn *c);

/* Edited bytes that are held for the client. */
size_t incoming_edited(const struct conn *c);

/* EXCHANGE: the client is about to receive, or to wait for input: see exchange_awaits_end. */
void incoming_awaits_end(struct conn *c);

#endif
