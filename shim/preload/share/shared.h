/* SPDX-License-Identifier: ISC */
/* shared: which idle connections stay with this process, and which go to the queues that it has in
 * common with the other processes under its launcher (pool/tree.h).
 *
 * A connection is left to the others as soon as it is parked: nothing would wake this process to do so
 * later.  Only while it makes one connection after the other (it is "hot") does it keep them; what is
 * left of that is given away when it waits (hooks/wait.c), at the next quiet connect or park, before it
 * starts others, and when it ends. */
#ifndef HOLDFAST_PRELOAD_SHARED_H
#define HOLDFAST_PRELOAD_SHARED_H

#include "base/reason.h"
#include "pool/endpoint.h"
#include "pool/pool.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Finds the queues that were inherited, by the environment, and hides them. */
void shared_start(void);

/* Does the process keep connections that others could use? */
extern atomic_bool shared_keeping;
static inline bool shared_keeps(void)
{
    return atomic_load_explicit(&shared_keeping, memory_order_relaxed);
}

/* Held while a broker is looked for (base/lock_order.h). */
struct lock;
extern struct lock shared_joining;

/* The program connects to something. */
void shared_note_connect(void);

/* As pool_park, here or there. */
enum reason shared_park(const struct endpoint *to, const struct idle *idle);

/* As pool_lease, from the others. */
int shared_lease(const struct endpoint *to, const struct wanted *wanted, struct idle *out, enum reason *why);

/* Closes what lies idle with the others for the place of `to`; how many, as far as is known. */
unsigned shared_release_place(const struct endpoint *to);

/* sendmsg, within what one user may have in flight: shared_send.c. */
ssize_t shared_send(int fd, const struct msghdr *msg, int flags);

/* Nobody watches the queues: who is about to sleep lets go of what has expired there.  A server may wait for its end. */
void shared_sweep(void);

/* Leaves all idle connections to the others. */
void shared_give_all(void);

/* The process ends.  True, once: there are queues.  Whatever is parked from now on is given away; park what can still be
 * parked, and call shared_give_rest. */
bool shared_ends(void);

/* Then: what is idle here goes to the others. */
void shared_give_rest(void);

/* Could a program that is executed now be given the queues?  If not, its file need not be known. */
bool shared_may_leave(void);

/* Around exec and its kind: the queues go to a program that will have this library, and to no other
 * (preload/share/handdown.h).  `path`: its file, NULL: who knows.  True: shared_stay undoes it, when this process goes
 * on. */
bool shared_leave(const char *path, char *const *env);
void shared_stay(bool handed_down);

/* Nobody in this process is the queues' owner any more: queues, board and line are given up, for good. */
void shared_renounce(void);

/* In a vfork child, which is not its owner any more: closes its copies, and leaves its parent's memory alone. */
void shared_close_copies(void);

#endif
