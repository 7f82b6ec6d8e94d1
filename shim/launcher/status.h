/* status: `holdfast --status`: what lies idle, and what was counted, in the tree that this process was handed,
 * or else in the user's broker. */
#ifndef HOLDFAST_LAUNCHER_STATUS_H
#define HOLDFAST_LAUNCHER_STATUS_H

#include "pool/board.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `format`: "", a table for people; "json"; "openmetrics".  Prints and exits: 0; 1 if there is nothing to tell
 * of; FAIL_OURS for another format. */
_Noreturn void status_show(const char *format);

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

struct status {
    enum board_kind kind;
    bool answered;         /* the broker did */
    unsigned uid, pid;     /* pid: the broker's, 0: none that answers */
    uint64_t age_ms;
    struct status_row *rows; /* by endpoint, each once */
    size_t count;
    struct status_fact *facts;
    size_t facts_count;
    struct board counted;  /* a copy */
};

/* status_text.c: to standard output. */
void status_table(const struct status *s);
void status_json(const struct status *s);
void status_openmetrics(const struct status *s);

/* Connects that opened no connection; and the leases of those that the process itself had kept, that another
 * process had left, that the broker had. */
uint64_t status_saved(const struct status *s);
struct status_leases {
    uint64_t own, others, broker;
};
struct status_leases status_leases(const struct status *s);

#endif
