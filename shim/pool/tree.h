/* tree: the idle connections of all processes under one launcher.
 *
 * Theory of operation.  They lie in flight (unix(7), SCM_RIGHTS) in the queues of a few datagram sockets
 * that every process of the tree inherits: nobody has to be alive but a holder, and when the last one
 * exits the servers see FIN.  Every socket has an abstract name and is connected to the first one, which
 * is connected to itself: so only the first can send to them, to strangers the kernel answers EPERM; and
 * since datagrams are charged to the socket that sends, its SO_SNDBUF bounds what lies in the whole tree.
 * An endpoint's connections are in the queue that its hash picks.  A queue is first in, first out: what
 * is not wanted is put back at its end.
 *
 * What comes out is believed only if the kernel says that a process of the same user sent it.
 *
 * No locks: each step is one system call.  Works in threads and after a fork. */
#ifndef HOLDFAST_POOL_TREE_H
#define HOLDFAST_POOL_TREE_H

#include "pool/pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    TREE_QUEUES = 16,
    TREE_TOKEN = 16,
    TREE_MOST = 48,             /* connections in flight: far below any limit of fds, see README */
    TREE_MOST_PRIVILEGED = 256, /* for whom the kernel does not count them */
};

/* The environment's HOLDFAST_TREE: always this long, so that it can be changed in place. */
#define TREE_VARIABLE "HOLDFAST_TREE"
#define TREE_TEXT sizeof "12345-0123456789abcdef-4294967295-256"

struct sockaddr_un;

/* libc's, without any hook in between. */
struct tree_calls {
    int (*socket)(int, int, int);
    int (*bind)(int, const struct sockaddr *, socklen_t);
    int (*connect)(int, const struct sockaddr *, socklen_t);
    int (*getsockname)(int, struct sockaddr *, socklen_t *);
    int (*getsockopt)(int, int, int, void *, socklen_t *);
    int (*setsockopt)(int, int, int, const void *, socklen_t);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    ssize_t (*recvmsg)(int, struct msghdr *, int);
    ssize_t (*recv)(int, void *, size_t, int);
    int (*dup3)(int, int, int);
    int (*shutdown)(int, int);
    int (*close)(int);
};

struct tree {
    const struct tree_calls *calls;
    int first;                /* the queues' numbers begin here */
    char token[TREE_TOKEN + 1];
    uint32_t uid;             /* effective user of who made it */
    unsigned most;            /* connections in it */
};

/* Makes the queues, not close-on-exec, under first to first + TREE_QUEUES - 1, over whatever is there;
 * at most `most` connections.  0 or -errno, with nothing left behind. */
int tree_create(struct tree *t, const struct tree_calls *calls, int first, unsigned most, uint32_t uid);

/* Reads the environment's text; 0 or -EINVAL. */
int tree_parse(struct tree *t, const struct tree_calls *calls, const char *text);
void tree_text(const struct tree *t, char out[TREE_TEXT]);

/* The address of queue i; returns its length. */
socklen_t tree_name(const struct tree *t, unsigned i, struct sockaddr_un *name);

/* Does queue i lie under its number?  Not all may have survived what the program does to its fds. */
bool tree_has(const struct tree *t, unsigned i);

/* Does the tree exist in this network namespace, whoever has it? */
bool tree_lives(const struct tree *t);

/* Does the kernel not count what this process has in flight (CAP_SYS_RESOURCE, CAP_SYS_ADMIN)? */
bool tree_is_privileged(void);

/* How many connections lie in the tree, whosever they are; about. */
unsigned tree_count(const struct tree *t);

/* Gives a connection to the tree, parked at idle->parked_ms: what lay elsewhere before does not get
 * younger.  idle->fd stays the caller's, who closes it.  Where the tree is full, one that nobody
 * has wanted for long makes room, or it is not taken;
 * no more than `limit` are kept for the endpoint.  0, or -errno: it was not taken (-ETOOMANYREFS: the
 * user has too many fds in flight). */
int tree_give(const struct tree *t, const struct endpoint *to, const struct idle *idle, unsigned limit,
              uint64_t now_ms);

/* Takes a connection to `to` that is `wanted`, oldest first.  0, with out->fd a fd of the caller,
 * close-on-exec, or -ENOENT.  It was not examined; those to others that are met on the way and have
 * expired or ended are closed.  Never blocks. */
int tree_take(const struct tree *t, const struct endpoint *to, const struct wanted *wanted,
              struct idle *out, uint64_t now_ms);

#endif
