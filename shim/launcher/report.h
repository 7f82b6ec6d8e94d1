/* SPDX-License-Identifier: ISC */
/* report: the page of `holdfast --explain`, made of what the processes wrote. */
#ifndef HOLDFAST_LAUNCHER_REPORT_H
#define HOLDFAST_LAUNCHER_REPORT_H

#include "launcher/look.h"

#include <stdbool.h>
#include <stdio.h>

/* Why no process shares connections with another one, and what to do about it; NULL: they do. */
struct report_sharing {
    const char *obstacle, *advice;
};

struct report_run {
    const char *command;
    const struct look *look; /* of the command; NULL: HOLDFAST=0 */
    const char *library;     /* the path of ours */
    struct report_sharing sharing;
    bool files_told;         /* a file of a setting that cannot be written to was pointed out already */
    bool incomplete;         /* not all that processes had to say could be recorded */
    int status;              /* as from waitpid(2) */
    double seconds;
};

/* Reads all of `events`; lines that are not as base/trace.h says are left out. */
void report_write(FILE *out, FILE *events, const struct report_run *run);

#endif
