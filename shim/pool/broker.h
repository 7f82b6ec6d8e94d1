/* SPDX-License-Identifier: ISC */
/* broker: the other side of holdfastd, for launchers and for the library.
 *
 * Theory of operation.  The broker has a tree (pool/tree.h) that it shares with all processes of its user
 * and network namespace.  A launcher connects to it once; that connection, the line, and the broker's queues
 * and board it hands down to its processes, under the numbers that a tree of its own would have.  So a
 * process leaves and takes connections as in any tree, without a word to the broker.  The queues and the board
 * it copies out of the broker (pidfd_getfd(2)), which costs no more than to make them, and works whatever the
 * broker is doing; where that is not allowed it asks for them.
 *
 * What has lain in the queues for a moment the broker takes to itself, where it can watch it, and the board
 * says so.  A process that finds nothing in its queue, and a promise on the board, asks over the line; the
 * answer comes on a socket that went with the question, since others have the line, too.
 *
 * Each wait for the broker is bounded; after one in vain it is left alone for a while.  When it has died the
 * queues go on without it. */
#ifndef HOLDFAST_POOL_BROKER_H
#define HOLDFAST_POOL_BROKER_H

#include "pool/broker_message.h"
#include "pool/broker_place.h"

enum {
    BROKER_WAIT_MS = 5,
    BROKER_ALONE_MS = 1000,
    BROKER_KIT = TREE_QUEUES + 1, /* what goes with the answer to BROKER_HELLO: the queues, the board */
};

struct broker_door {
    const struct broker_place *place;
    uint64_t netns; /* it has to be in */
    int wait_ms;
};

/* Connects to the broker behind `door`, and puts what it has under first to first + TREE_FDS - 1, over whatever
 * is there, with `flags` (0 or O_CLOEXEC).  0, or -errno with nothing left behind: -ENOENT, -ECONNREFUSED:
 * there is none; -ETIMEDOUT: it did not answer; -EPERM: it is another user's. */
int broker_join(struct tree *t, const struct tree_calls *calls, const struct broker_door *door, int first,
                int flags);

/* Asks for a connection, over the tree's line: as tree_take.  Others than 0 and -ENOENT: -ETIMEDOUT; -EPIPE:
 * the broker is no more. */
int broker_ask(const struct tree *t, const struct endpoint *to, const struct wanted *wanted,
               struct idle *out, uint64_t now_ms);

/* Lets it close all that leads to the place of `to`; nobody waits.  0 or -errno. */
int broker_release(const struct tree *t, const struct endpoint *to);

/* What it has: 0, with a file of reply->records broker_records in *file, which is the caller's; or -errno. */
int broker_status(const struct tree *t, struct broker_reply *reply, int *file, int wait_ms);

#endif
