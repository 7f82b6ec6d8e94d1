/* SPDX-License-Identifier: ISC */
/* tally: the events of a run (base/trace.h), counted by where, by whom and why.  All of it is bounded: what
 * comes after the first TALLY_ROWS names of a kind is counted under one. */
#ifndef HOLDFAST_LAUNCHER_TALLY_H
#define HOLDFAST_LAUNCHER_TALLY_H

#include "base/trace.h"

#include <stdbool.h>
#include <stdio.h>

enum { TALLY_ROWS = 256, TALLY_EXAMPLES = 3 };

struct tally_row {
    char name[TRACE_PROGRAM];
    unsigned long n[TRACE_COUNT];
};

struct tally_table {
    unsigned count;
    struct tally_row rows[TALLY_ROWS];
};

/* A few of the names in a table, and whether there are more. */
struct tally_examples {
    const struct tally_row *rows[TALLY_EXAMPLES];
    bool more;
};

struct tally_cause {
    enum reason reason;
    unsigned long count;
    struct tally_examples programs, places;
};

struct tally {
    struct tally_table programs; /* by start, left, alone and connect */
    struct tally_table files;    /* by exec, bare, off, user and away */
    struct tally_table places;   /* by connect and all others */
    struct tally_cause causes[REASON_count]; /* by reason, until they are sorted */
    bool cut;                    /* a process has recorded as much as it may */
};

extern struct tally tally; /* the only one */

/* Counts all that can be read; then sorts: places and files that matter most, and causes, come first. */
void tally_read(FILE *events);

/* Connections of a place on which no whole request went out. */
unsigned long tally_silent(const struct tally_row *place);

#endif
