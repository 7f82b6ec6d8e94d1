/* explain: runs the command and tells afterwards, on a page, which connections it and what it started made,
 * and why no more of them were reused. */
#ifndef HOLDFAST_LAUNCHER_EXPLAIN_H
#define HOLDFAST_LAUNCHER_EXPLAIN_H

#include "launcher/look.h"

/* Before the environment is used: makes the file that the processes write into (base/trace.h), and opens
 * `path` for the report; NULL: it goes to stderr. */
void explain_prepare(const char *path);

/* Runs it, reports, and ends as it ended.  `look`: what is known of it; NULL: HOLDFAST=0.  `library`: the
 * path of ours. */
_Noreturn void explain_run(int (*execute)(char **command), char **command, const struct look *look,
                           const char *library);

#endif
