/* SPDX-License-Identifier: ISC */
/* stats: what this process did, as counters; written as one JSON line at exit. */
#ifndef HOLDFAST_BASE_STATS_H
#define HOLDFAST_BASE_STATS_H

#include "base/reason.h"

#include <stdatomic.h>
#include <stddef.h>

/* X(name): keys of the JSON line, in its order; the comments are the manual's (scripts/print-keys). */
#define STATS_COUNTERS(X)                                                              \
    X(requests)  /* requests whose head was seen */                                    \
    X(connects)  /* connects of the program */                                         \
    X(leased)    /* connects, or first requests, that got an idle connection */        \
    X(fresh)     /* connections that were really opened */                             \
    X(parked)    /* connections that were kept for reuse */                            \
    X(adapted)   /* exchanges that were rewritten */                                   \
    X(opaque)    /* connections that were bypassed after a look at their first bytes */ \
    X(replayed)  /* requests that were sent again on a fresh connection */             \
    X(shared_taken) /* leases of a connection that another process had left */         \
    X(shared_given) /* connections that were left to other processes */

struct stats {
#define X(name) atomic_ulong name;
    STATS_COUNTERS(X)
#undef X
    atomic_ulong reasons[REASON_count];
};

extern struct stats stats;

#define stats_count(name) atomic_fetch_add_explicit(&stats.name, 1, memory_order_relaxed)
/* What was counted turned out not to be so. */
#define stats_uncount(name) atomic_fetch_sub_explicit(&stats.name, 1, memory_order_relaxed)
void stats_reason(enum reason reason);

/* After fork, in the child: what the parent counted is the parent's. */
void stats_reset(void);

/* Formats {"pid":1,"command":"curl","requests":3,...,"reasons":{"stale":1}}\n into out; reasons that
 * never occurred are left out; `command` is escaped as JSON.  Returns its length, 0 if cap is too
 * small. */
size_t stats_format(char *out, size_t cap, long pid, const char *command);

#endif
