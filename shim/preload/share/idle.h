/* SPDX-License-Identifier: ISC */
/* idle: what the pool may do with sockets. */
#ifndef HOLDFAST_PRELOAD_IDLE_H
#define HOLDFAST_PRELOAD_IDLE_H

#include "base/reason.h"
#include "base/secure.h"
#include "pool/pool.h"

#include <stdbool.h>

int idle_start(void); /* makes the pool; 0 or -errno */

/* Closes an idle connection, so that its server notices; `why` is counted and logged. */
void idle_discard(const struct idle *idle, enum reason why);

/* Of a server that has promised nothing the end may be on its way: gives it a millisecond, once for a
 * connection that has served a single request.  False: it has ended. */
bool idle_wait_for_proof(const struct idle *idle);

/* What a look at an idle connection says, without a cookie.  errno is not left alone. */
enum pool_health idle_look(int fd);

/* Why one in that state is not to be used, or REASON_none. */
enum reason idle_reason(enum pool_health health);

/* Is its fd still ours, and still the same socket? */
bool idle_is_there(const struct idle *idle);

/* For idle_forget_kept. */
void idle_forget_now(void *kept);

/* What speaks TLS on one that is not to be used any more is forgotten.  Of more than one copy of `idle`, one may be asked. */
static inline void idle_forget_kept(struct idle *idle)
{
    if (idle->secured)
        idle_forget_now(idle->kept);
    idle->secured = false;
}

/* Whoever uses `idle` for a while holds what speaks TLS on it. */
void idle_hold_kept(const struct idle *idle);

/* By whom that is done. */
void idle_set_kept(const struct secure_kept *calls);

/* In the child of a fork: closes its copy. */
void idle_close_copy(const struct idle *idle);

#endif
