/* SPDX-License-Identifier: ISC */
/* confined: policies that the kernel decides at connect(2), in the thread that calls it: Landlock's rules for TCP
 * (landlock(7)), and other security modules'.  A lease stands in for that connect, so the policy is asked: a connect
 * on a connected socket is judged first and fails with EISCONN if it is allowed (tests/assume/landlock.c).  After a
 * connect that did not wait it gives 0 once (tests/assume/connect.c).
 *
 * Asked only where such a policy may be: whoever confines itself has set no_new_privs, unless it is root; the
 * processes that it starts inherit both.  Then a lease costs a call more.
 *
 * A filter of system calls that was there from the start is asked there (base/policy.h).
 *
 * Not seen: what root installs without no_new_privs by an instruction of its own; cgroup programs (bpf(2)), which are
 * not asked for a connected socket. */
#ifndef HOLDFAST_PRELOAD_CONFINED_H
#define HOLDFAST_PRELOAD_CONFINED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

/* A policy may be there.  Set once. */
extern atomic_bool confined_perhaps;

/* In the constructor. */
void confined_start(void);

/* The program sets no_new_privs, or confines itself. */
static inline void confined_note(void)
{
    atomic_store_explicit(&confined_perhaps, true, memory_order_relaxed);
}

/* Would the calling thread be allowed to connect to `to`?  `fd` is connected there. */
bool confined_asks(int fd, const struct sockaddr *to, socklen_t len);
static inline bool confined_allows(int fd, const struct sockaddr *to, socklen_t len)
{
    return !atomic_load_explicit(&confined_perhaps, memory_order_relaxed) || confined_asks(fd, to, len);
}

#endif
