/* SPDX-License-Identifier: ISC */
/* spare: a fresh socket that a lease made needless is not thrown away but handed out at the next
 * socket(2): making and destroying one costs more than all else that holdfast does.  A few a family.
 * While handed out, the client's fd and the conn's private fd are two numbers for it.
 *
 * Most often the next connect puts an idle connection in its place, so until something else is done to it
 * (NEED_ALL) nothing is asked of the kernel: neither whether it is still the same socket, nor that it
 * blocks, or not, as the client wants.
 *
 * A spare has no past: Linux remembers a shutdown that answered ENOTCONN, an owner for signals, the port of a
 * refused connect.  So a socket is touched by whatever enters its conn with NEED_ALL, by a fork, and by a connect.
 * What needs less leaves it as it is: flags, FD_CLOEXEC, epoll sets (it is taken out of them). */
#ifndef HOLDFAST_PRELOAD_SPARE_H
#define HOLDFAST_PRELOAD_SPARE_H

#include <stdbool.h>
#include <stdint.h>

/* On a conn in NEW_UNREADY or NEW that was handed one.  All zero: it has a socket of its own. */
struct spare {
    bool nonblocking; /* the socket is, whatever the client believes */
    uint32_t cookie;  /* low bits of SO_COOKIE, 0: not asked yet */
};

/* `limit`: how many private fds there may be; spares take no more than a sixteenth of them. */
void spare_start(unsigned limit);

/* A spare of this family, now the caller's (a private fd), or -1. */
int spare_take(int family, struct spare *spare);

/* Keeps a pristine socket (a private fd, the pool's now) for later, or closes it. */
void spare_give(int family, int fd, struct spare spare);

/* Closes them: a child of a fork must not share them, nor a process that changed its namespace. */
void spare_abandon(void);

#endif
