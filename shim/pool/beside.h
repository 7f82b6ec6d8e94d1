/* beside: messages on unix sockets, with what comes beside them (SCM_RIGHTS, SCM_CREDENTIALS). */
#ifndef HOLDFAST_POOL_BESIDE_H
#define HOLDFAST_POOL_BESIDE_H

#include "pool/tree.h"

enum { BESIDE_MOST = TREE_FDS + 2 };

struct beside {
    int fds[BESIDE_MOST];
    size_t count;
    bool ours;  /* received: the kernel says that a process of this user has sent it */
    bool whole; /* received: neither the message nor what came with it was cut */
};

/* Receives a message of at most `len` bytes with at most `most` fds, close-on-exec, which are the
 * caller's; what finds no room, the kernel closes.  Its length, or -errno.  Never blocks. */
ssize_t beside_receive(const struct tree_calls *calls, int fd, void *bytes, size_t len, size_t most,
                       struct beside *beside);
void beside_close(const struct tree_calls *calls, struct beside *beside);

/* Sends a message with `beside`'s fds, which stay the caller's.  `name`: of a datagram socket, or NULL.
 * 0 or -errno.  Never blocks. */
struct sockaddr_un;
int beside_send(const struct tree_calls *calls, int fd, const struct iovec *message,
                const struct beside *beside, const struct sockaddr_un *name, socklen_t name_len);

#endif
