/* SPDX-License-Identifier: ISC */
/* tree: the idle connections of all processes under one launcher, or of all of a user's (pool/broker.h).
 *
 * Theory of operation.  They lie in flight (unix(7), SCM_RIGHTS) in the queues of a few datagram sockets
 * that every process of the tree inherits: nobody has to be alive but a holder, and when the last one
 * exits the servers see FIN.  Every socket has an abstract name and is connected to the first one, which
 * is connected to itself: so only the first can send to them, to strangers the kernel answers EPERM, from
 * the moment on in which the name is there (tree.c; tests/assume/tree_closed.c).  Since datagrams are
 * charged to the socket that sends, its SO_SNDBUF bounds what lies in the whole tree.
 * An endpoint's connections are in the queue that its hash picks.  A queue is first in, first out: what
 * is not wanted is put back at its end.
 *
 * What comes out is believed only if the kernel says that a process of the same user sent it.  What another
 * user has sent, by a queue that he was handed, is not even taken out: to close what comes with it could take
 * as long as he likes (SO_LINGER, a file of a FUSE server of his).  Such a queue is not used any further.
 *
 * Beside the queues lie the board, which they have in common as well (pool/board.h), and, where a broker
 * has the queues, too, the line to it.  All can do without either.
 *
 * No locks: each step is one system call.  Works in threads and after a fork. */
#ifndef HOLDFAST_POOL_TREE_H
#define HOLDFAST_POOL_TREE_H

#include "pool/pool.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    TREE_QUEUES = 4, /* each costs every process of the tree some calls at its start */
    TREE_BOARD = TREE_QUEUES, /* their numbers, from the first queue's on */
    TREE_LINE,
    TREE_FDS,
    TREE_TOKEN = 16,
    TREE_MOST = 48,             /* connections in flight: far below any limit of fds, see README */
    TREE_MOST_PRIVILEGED = 256, /* for whom the kernel does not count them */
    TREE_USER_MOST = 52,        /* fds in flight of one user, in all that he has */
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
    int (*poll)(struct pollfd *, nfds_t, int); /* where there is a broker */
    /* Moves a socket that was received to a number which the program does not use: returns that, or -1 with the
     * socket where it was.  NULL: there is no program beside us. */
    int (*hide)(int);
};

/* Without anything in between. */
extern const struct tree_calls tree_calls_plain;

struct board;

struct tree {
    const struct tree_calls *calls;
    int first;                /* the numbers begin here */
    char token[TREE_TOKEN + 1];
    uint32_t uid;             /* effective user of who made it */
    unsigned most;            /* connections in it */
    struct board *board;      /* NULL: none, or not mapped yet */
};

/* Makes the queues, not close-on-exec, under first to first + TREE_QUEUES - 1, over whatever is there;
 * at most `most` connections.  0 or -errno, with nothing left behind. */
int tree_create(struct tree *t, const struct tree_calls *calls, int first, unsigned most, uint32_t uid);

/* Closes all that it has. */
void tree_destroy(struct tree *t);

/* Puts a board beside the queues, as inheritable as they are.  `kind`: enum board_kind.  0 or -errno. */
int tree_add_board(const struct tree *t, unsigned kind, uint64_t now_ms);

/* The kind of the board that lies there, 0: none.  Whether a line does. */
unsigned tree_board(const struct tree *t);
bool tree_has_line(const struct tree *t);

/* Names an end of a line, so that tree_has_line knows it.  0 or -errno. */
int tree_mark_line(const struct tree *t, int fd);

/* Numbers that a program does not miss, TREE_FDS in a row: from its soft limit on, which the kernel gives out
 * while the limit is as in *higher and which stay valid (getrlimit(2)); else the highest of many.  `is_free`
 * says of one whether nothing is there.  -1: none. */
struct rlimit;
int tree_numbers(const struct rlimit *limit, struct rlimit *higher, bool (*is_free)(int fd));

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
 * no more than `limit` are kept for the endpoint.  0; TREE_IN_PLACE: it was taken, and an older one of its endpoint went;
 * or -errno: it was not taken (-EAGAIN: the tree is full; -ETOOMANYREFS: the user has too many fds in flight; -EPERM: another
 * user's message lies in the queue). */
enum { TREE_IN_PLACE = 1 };
int tree_give(const struct tree *t, const struct endpoint *to, const struct idle *idle, unsigned limit,
              uint64_t now_ms);

/* Takes a connection to `to` that is `wanted`, oldest first.  0, with out->fd a fd of the caller,
 * close-on-exec and hidden; -ENOENT; -EMFILE: one that was met could not be hidden, and is closed.  It was not
 * examined; those to others that are met on the way and have expired or ended are closed.  Never blocks. */
int tree_take(const struct tree *t, const struct endpoint *to, const struct wanted *wanted,
              struct idle *out, uint64_t now_ms);

/* Lets go of what has expired, or was closed by its server, at the old end of each queue, a few of each. */
void tree_sweep(const struct tree *t, uint64_t now_ms);

/* Closes all that leads to the place of `to` (pool/endpoint.h), whatever the user's and the namespace; returns
 * how many. */
unsigned tree_release_place(const struct tree *t, const struct endpoint *to, uint64_t now_ms);

/* For the broker.  Takes what was parked `age_ms` ago or earlier out of the old end of a queue, in whatever
 * state it is.  0, with *to, and *out as from tree_take; -EAGAIN: only younger ones are there; -ENOENT:
 * nothing is.  The other way: tree_return puts it at the end as it was; as tree_give, without a look at others. */
int tree_take_old(const struct tree *t, unsigned queue, uint64_t age_ms, struct endpoint *to,
                  struct idle *out, uint64_t now_ms);
int tree_return(const struct tree *t, const struct endpoint *to, const struct idle *idle);

/* Shows what lies in a queue, without taking it: *to, and *idle without its fd.  `arg` goes to `show`. */
void tree_look(const struct tree *t, unsigned queue, uint64_t now_ms,
               void (*show)(void *arg, const struct endpoint *to, const struct idle *idle), void *arg);

#endif
