/* SPDX-License-Identifier: ISC */
/* event: what happens to a conn, said once.  The counters (base/stats.h), the lines of --explain (share/tracing.h) and
 * the log are made of it here, so that they cannot disagree; the board is filled from the counters.  Only what becomes of
 * a connection that is idle from then on, conn/parking.c and share/idle.c say themselves. */
#ifndef HOLDFAST_PRELOAD_EVENT_H
#define HOLDFAST_PRELOAD_EVENT_H

#include "base/stats.h"
#include "preload/share/tracing.h"

struct conn;

/* conn.h has it, for share/ as well. */
void conn_note(const struct conn *c, enum reason why);

/* For conn_event. */
void event_trace(const struct conn *c, enum trace_event event);

/* X(event, what is counted, what is traced) */
#define CONN_EVENTS(X)                                                                                          \
    X(CONNECT, nothing(), TRACE_connect)         /* the program connects it */                                  \
    X(ASKED_POOL, stats_count(connects), 0)      /* ... and it may have an idle connection */                   \
    X(LEASED, stats_count(leased), TRACE_lease)  /* ... and has got one */                                      \
    X(RETURNED, stats_uncount(leased), TRACE_return) /* ... which it gives up again, for one of its own */      \
    X(BEGUN, stats_count(fresh), 0)              /* a connection of its own is about to be made */              \
    X(OPENED, nothing(), TRACE_open)             /* ... is made, or pending */                                  \
    X(REHOMED, stats_count(fresh), TRACE_open)   /* both */                                                     \
    X(FAILED, nothing(), TRACE_fail)             /* ... could not be made */                                    \
    X(REQUEST, stats_count(requests), 0)         /* the head of a request was seen */                           \
    X(ADAPTED, stats_count(adapted), TRACE_adapted)                                                             \
    X(OBSERVED, nothing(), TRACE_observed)                                                                      \
    X(MORE, nothing(), TRACE_more)               /* another request of an observed client */                    \
    X(REPLAYED, stats_count(replayed), 0)        /* the request is on its way once more */                      \
    X(BYPASSED, stats_count(opaque), 0)          /* libc alone has it, after a look */                          \
    X(DIRECT, nothing(), TRACE_direct)           /* ... before a request was seen */                            \
    X(REASON, nothing(), 0)                      /* conn_note: `why` something is not done, or is done */

enum conn_event {
#define X(event, count, trace) EVENT_##event,
    CONN_EVENTS(X)
#undef X
};

/* Locked, or of a conn that nobody else has yet.  `why` is REASON_none of all events but REASON. */
static inline __attribute__((always_inline)) void conn_event(const struct conn *c, enum conn_event event, enum reason why)
{
    enum trace_event trace = 0;

    switch (event) {
#define nothing() (void)0
#define X(name, count, its)  \
    case EVENT_##name:       \
        count;               \
        trace = (enum trace_event)(its); \
        break;
        CONN_EVENTS(X)
#undef X
#undef nothing
    }
    if (trace && tracing_on())
        event_trace(c, trace);
    if (event == EVENT_REASON)
        conn_note(c, why);
}

#endif
