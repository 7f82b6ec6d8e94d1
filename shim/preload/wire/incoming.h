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

/* A real receive, without the lock.  Bytes, 0, -errno, or -ESTALE: the world changed meanwhile. */
ssize_t incoming_receive(struct conn *c, struct incoming *call, char *buf, size_t len, bool peek);

/* Locked.  In a program with threads, another one may be about to wait for this socket: what may end the response within
 * the next `len` bytes is only looked at, and stays in the kernel until another socket lies under the number. */
bool incoming_leaves_queued(const struct conn *c, size_t len);

/* Waits like a receive but takes nothing: another thread will. */
ssize_t incoming_wait(struct conn *c, int fd, int flags);

/* The end came: if the client has not got anything of the answer, sends the request again on a fresh
 * connection.  As outgoing_replay. */
int incoming_replay(struct conn *c);

/* A receive gave 0 or -errno: what recv_step answers then. */
ssize_t incoming_at_end(struct conn *c, ssize_t n);

/* Does what exchange_server has said; returns the bytes that are the client's. */
ssize_t incoming_follow(struct conn *c, struct exchange_reply reply);

/* Takes what was only looked at out of the kernel, but for the last byte where `flow` says that the response ends: that
 * one stays queued until another socket lies under the fd, so that a thread that begins to wait in between is not left
 * on the old one without an event. */
void incoming_discard(struct conn *c, enum exchange_flow flow);

/* The response is complete. */
void incoming_end(struct conn *c);

/* Locked.  How many bytes are held that the next receive gives to the client. */
static inline size_t incoming_for_client(const struct conn *c)
{
    return c->reply.held == HELD_FOR_CLIENT ? hold_len(&c->reply.bytes) : 0;
}

/* EXCHANGE: the client is about to receive, or to wait for input: see exchange_awaits_end. */
void incoming_awaits_end(struct conn *c);

/* Locked.  A call has given messages, and then met `error`: the next receive tells it. */
void incoming_tell_later(struct conn *c, int error);

#endif
