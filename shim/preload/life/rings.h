/* SPDX-License-Identifier: ISC */
/* rings: io_uring.  A ring reads, writes, polls and closes by number, past every hook.  So from its first ring on, the
 * process's sockets are libc's and the ring's alone: the idle connections go to the others of the tree, what is connected
 * becomes a stranger to us, and no new socket is tracked.  Queues and the like stay hidden, for the process's children.
 *
 * When: after the call has made the ring, and before the program learns its number.  Where the kernel or a policy makes no
 * ring (libuv then uses epoll), nothing changes.  A ring that came by another way (exec, SCM_RIGHTS) is seen when it is
 * mapped or entered.
 *
 * Not seen: system calls in the program's own assembly; liburing found by dlsym in a handle, but its dlopen is seen.
 * A ring's own calls in a child of fork are on the child's numbers; the child has this state from its parent. */
#ifndef HOLDFAST_PRELOAD_RINGS_H
#define HOLDFAST_PRELOAD_RINGS_H

/* Not locked.  The process has a ring, or is about to enter one; or to call aio_read (hooks/aio.c).  errno is left alone. */
void rings_begin(void);

/* A library is opened: liburing is opened to be used. */
void rings_look_at_library(const char *file);

#endif
