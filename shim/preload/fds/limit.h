/* SPDX-License-Identifier: ISC */
/* limit: RLIMIT_NOFILE was another one for a moment, and is to be again what it was. */
#ifndef HOLDFAST_PRELOAD_LIMIT_H
#define HOLDFAST_PRELOAD_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

static inline bool limit_equal(const struct rlimit *a, const struct rlimit *b)
{
    return a->rlim_cur == b->rlim_cur && a->rlim_max == b->rlim_max;
}

/* Sets `before` again after `moment`; but if somebody has set another one meanwhile (prlimit(2)), it stays that. */
static inline void limit_restore(const struct rlimit *before, const struct rlimit *moment)
{
    struct rlimit now;

    if (prlimit(0, RLIMIT_NOFILE, before, &now) == 0 && !limit_equal(&now, moment))
        prlimit(0, RLIMIT_NOFILE, &now, NULL);
}

#endif
