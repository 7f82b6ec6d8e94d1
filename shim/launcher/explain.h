/* SPDX-License-Identifier: ISC */
/* explain: runs the command and tells afterwards, on a page, which connections it and what it started made,
 * and why no more of them were reused. */
#ifndef HOLDFAST_LAUNCHER_EXPLAIN_H
#define HOLDFAST_LAUNCHER_EXPLAIN_H

struct report_run;

/* Before the environment is used: makes the file that the processes write into (base/trace.h), and opens
 * `path` for the report; NULL: it goes to stderr. */
void explain_prepare(const char *path);

/* Runs it, reports, and ends as it ended.  `run`: report.h, but for what comes of the command. */
_Noreturn void explain_run(int (*execute)(char **command), char **command, const struct report_run *run);

#endif
