/* SPDX-License-Identifier: ISC */
/* beside: messages on unix sockets, with what comes beside them (SCM_RIGHTS, SCM_CREDENTIALS). */
#ifndef HOLDFAST_POOL_BESIDE_H
#define HOLDFAST_POOL_BESIDE_H

#include "pool/tree.h"

enum {
    BESIDE_MOST = TREE_FDS + 2,
    BESIDE_ROOM = 253, /* SCM_MAX_FD: the kernel sends no more */
};

struct beside {
    int fds[BESIDE_MOST];
    size_t count;       /* received: more than BESIDE_MOST are closed at once, and it is not whole */
    bool ours;  /* received: the kernel says that a process of this user has sent it */
    bool whole; /* received: neither the message nor what came with it was cut */
};

/* Receives a message of at most `len` bytes with the fds beside it, close-on-exec, which are the caller's; with
 * more than `most` it is not whole.  Its length, or -errno.  Never blocks. */
ssize_t beside_receive(const struct tree_calls *calls, int fd, void *bytes, size_t len, size_t most,
                       struct beside *beside);

/* Looks at the next message without taking anything, not even a copy of an fd: its length, and in *ours whether a
 * process of this user has sent it; or -errno.  Never blocks. */
ssize_t beside_peek(const struct tree_calls *calls, int fd, void *bytes, size_t len, bool *ours);

/* Closes all of them; one that is a socket without waiting for its peer, whatever its SO_LINGER. */
void beside_close(const struct tree_calls *calls, struct beside *beside);

/* Likewise a single one. */
void beside_close_one(const struct tree_calls *calls, int fd);

/* Sends a message with `beside`'s fds, which stay the caller's.  `name`: of a datagram socket, or NULL.
 * 0 or -errno.  Never blocks. */
struct sockaddr_un;
int beside_send(const struct tree_calls *calls, int fd, const struct iovec *message,
                const struct beside *beside, const struct sockaddr_un *name, socklen_t name_len);

#endif
