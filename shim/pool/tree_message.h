/* SPDX-License-Identifier: ISC */
/* tree_message: what is written beside an idle socket that lies in a queue between processes.  All of
 * one machine and one version: the struct as it is in memory.  Whatever comes out of a queue is checked. */
#ifndef HOLDFAST_POOL_TREE_MESSAGE_H
#define HOLDFAST_POOL_TREE_MESSAGE_H

#include "pool/endpoint.h"
#include "pool/pool.h"
#include "pool/tree.h"

#include <stddef.h>
#include <stdint.h>

#define TREE_MESSAGE_MAGIC UINT64_C(0x31747361666c6f68)

/* No padding; unused bytes are zero.  What lies in a queue does not block: no other is read. */
struct tree_message {
    uint64_t magic;
    uint32_t size;
    uint32_t idle_ms;
    struct endpoint to;  /* uid: the effective user; netns: as tree.h says */
    uint64_t parked_ms, opened_ms, host, proxy_auth, cookie;
    int32_t max_left;
    uint16_t requests;
    uint8_t flags;
    uint8_t zero[1];
    struct sockaddr_storage local;
};

void tree_message_write(struct tree_message *m, const struct endpoint *to, const struct idle *idle);

/* Reads `len` bytes.  0, with *to and *idle filled in (idle->fd is -1), or -EBADMSG.  `now_ms`: what
 * claims to have been parked clearly later than that is refused. */
int tree_message_read(const void *bytes, size_t len, uint64_t now_ms, struct endpoint *to,
                      struct idle *idle);

/* The next message of a socket, with the connection beside it: 0, with idle->fd a fd of the caller's, hidden;
 * -EBADMSG: something else, or not from a process of this user: it is gone; -EMFILE: it could not be hidden, and is
 * closed; or what recvmsg says. */
int tree_receive(const struct tree_calls *calls, int fd, struct tree_message *message, struct endpoint *to,
                 struct idle *idle, uint64_t now_ms);

/* Looks at the next message (with SO_PEEK_OFF: at the one that lies there) and takes nothing: 0, with idle->fd -1;
 * -EBADMSG: something else, from a process of this user; -EPERM: a message of another user, which must not be
 * taken out (pool/tree.h); or what recvmsg says. */
int tree_peek(const struct tree_calls *calls, int fd, struct endpoint *to, struct idle *idle, uint64_t now_ms);

#endif
