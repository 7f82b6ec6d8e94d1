/* SPDX-License-Identifier: ISC */
/* status: `holdfast --status`: idle connections and counts of the tree that this process was handed, or else of the
 * user's broker, or of those that a given process shares with; once, or again and again. */
#ifndef HOLDFAST_LAUNCHER_STATUS_H
#define HOLDFAST_LAUNCHER_STATUS_H

#include "pool/board.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* `what`: "", or the number of a process, or "json", "openmetrics" or "prometheus" instead of a table for people, or both
 * with a comma between them.  `every_s`: how often to print it, 0: once.  Prints and exits: 0; 1 if there is nothing to
 * report; FAIL_OURS for another `what`. */
_Noreturn void status_show(const char *what, double every_s);

/* An address and port. */
struct status_row {
    char endpoint[ENDPOINT_TEXT_MAX];
    unsigned queued, held; /* in the queues; by the broker */
    uint64_t oldest_ms;    /* how long the oldest has been idle */
};

/* What is known of a server, and for how long yet. */
struct status_fact {
    char endpoint[ENDPOINT_TEXT_MAX];
    enum evidence what;
    unsigned left_s;
};

/* A setting's file that could not be written to. */
struct status_unwritten {
    const char *setting, *path; /* borrowed from the environment */
    int error;
};
enum { STATUS_FILES = 2 };

struct status {
    enum board_kind kind;
    bool answered;         /* the broker did */
    pid_t job;             /* whose connections these are, if one was asked for, and its program */
    const char *job_name;
    bool queues_seen;      /* false: the queues could not be looked into */
    unsigned uid, pid;     /* pid: the broker's, 0: none that answers */
    uint64_t age_ms;
    struct status_row *rows; /* by endpoint, each once */
    size_t count;
    struct status_fact *facts;
    size_t facts_count;
    struct board counted;  /* a copy */
    struct status_unwritten unwritten[STATUS_FILES];
    unsigned unwritten_count;
    const struct board *before; /* what was counted the last time, NULL: this is the first */
};

/* status_look.c: fill *s, whose rows and facts are the caller's to free.  Around: of the tree that this process was
 * handed, or else of the user's broker; false: there is neither.  At a job: job.h. */
struct job;
bool status_look_around(struct status *s);
void status_look_at_job(struct status *s, const struct job *job);

/* status_text.c, status_metrics.c: to standard output. */
void status_table(const struct status *s);
void status_json(const struct status *s);
void status_openmetrics(const struct status *s);
void status_prometheus(const struct status *s);

/* Of a board: connects; those that opened a connection, and those that got one that the process itself had kept, that
 * another process had left, that the broker had; connects that opened none; connections kept. */
struct status_counts {
    uint64_t connects, opened, own, others, broker, saved, parked;
};
struct status_counts status_count(const struct board *counted);

const char *status_kind(const struct status *s); /* "tree", "broker" */

#endif
