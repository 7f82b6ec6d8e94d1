/* SPDX-License-Identifier: ISC */
/* evidence: what is known of servers (pool/evidence.h), with the clock, the log, and the memory it lies in: the
 * board where there is one, so that all of a tree, or all of a user's processes, know the same; else the
 * process's own.  `to`: a conn's endpoint.  No lock, nothing that blocks; errno is left alone. */
#ifndef HOLDFAST_PRELOAD_EVIDENCE_H
#define HOLDFAST_PRELOAD_EVIDENCE_H

#include "pool/evidence.h"

#include <stdbool.h>

#define EVIDENCE_BIT(what) (UINT32_C(1) << (what))

/* Which of these hold?  A bit for each, as EVIDENCE_BIT says. */
uint32_t evidence_which(const struct endpoint *to, uint32_t among);

/* Does it hold? */
static inline bool evidence_has(const struct endpoint *to, enum evidence what)
{
    return evidence_which(to, EVIDENCE_BIT(what)) != 0;
}

/* A client connects: what this thread remembers of its last questions may be a second old, not more. */
void evidence_refresh(void);

/* For how many seconds yet, 0: it does not. */
uint32_t evidence_left(const struct endpoint *to, enum evidence what);

/* It holds for its usual time from now on (pool/evidence.def).  True: it did not hold before; that is logged.  Of
 * several who note it at the same time one gets true. */
bool evidence_note(const struct endpoint *to, enum evidence what);

/* It does not hold from now on. */
void evidence_forget(const struct endpoint *to, enum evidence what);

/* The one lease at a time of a server of which it is not known yet that it answers a second request.  One whose
 * process is gone, or that has no result in EVIDENCE_TRIAL_S, is noted as EVIDENCE_SILENT_ONCE.
 * Could one begin now? */
bool evidence_trial_possible(const struct endpoint *to);

/* Begins one.  True: whoever has begun it calls evidence_trial_end, once. */
bool evidence_trial_begin(const struct endpoint *to);

/* It has a result, or will have none. */
void evidence_trial_end(const struct endpoint *to);

#endif
