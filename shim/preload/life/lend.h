/* SPDX-License-Identifier: ISC */
/* lend: `environ` while system(3) and popen(3) hand it down to a program that is to get another one.  It is the
 * program's own: other threads, and handlers, read it meanwhile, and setenv(3) may replace it.  So it never points
 * at a stack, and where there are other threads the array stays and only entries that are there change. */
#ifndef HOLDFAST_PRELOAD_LEND_H
#define HOLDFAST_PRELOAD_LEND_H

#include <stdbool.h>
#include <stddef.h>

struct lend {
    char **own, **made; /* made: stands in for `own`; NULL: none does */
    size_t cap;         /* of `made`, in bytes */
    char *entry, *text; /* threaded: what was in the slot, and what is; NULL: nothing was replaced */
};

/* Whether entries can be added, not only replaced by others of their name. */
bool lend_can_add(void);

/* Until lend_end, `environ` says what `wanted` does; what cannot be done is left out. */
void lend_begin(struct lend *lend, char *const *wanted);
void lend_end(const struct lend *lend);

#endif
