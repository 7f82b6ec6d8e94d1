/* SPDX-License-Identifier: ISC */
#include "launcher/tally.h"

#include <stdlib.h>
#include <string.h>

struct tally tally;

static struct tally_row *find_row(struct tally_table *table, const char *name)
{
    bool last = table->count == TALLY_ROWS - 1;

    for (unsigned i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    if (last)
        name = "others";
    struct tally_row *row = &table->rows[table->count];
    if (!*row->name)
        (void)snprintf(row->name, sizeof row->name, "%s", name);
    table->count += !last;
    return row;
}

static void add_example(struct tally_examples *examples, const struct tally_row *row)
{
    for (int i = 0; i < TALLY_EXAMPLES; i++) {
        if (examples->rows[i] == row)
            return;
        if (!examples->rows[i]) {
            examples->rows[i] = row;
            return;
        }
    }
    examples->more = true;
}

/* A connection that no request went out on, or that is none of ours, would not have used an idle one. */
static bool matters(struct tally_row *place)
{
    unsigned long used = place->n[TRACE_adapted] + place->n[TRACE_observed];

    return place->n[TRACE_reason]++ < used;
}

static void count_cause(const struct trace *trace)
{
    struct tally_cause *cause = &tally.causes[trace->reason];
    struct tally_row *place = find_row(&tally.places, trace->place);

    if (trace->reason == REASON_pool_empty && !matters(place))
        return;
    cause->reason = trace->reason;
    cause->count++;
    add_example(&cause->programs, find_row(&tally.programs, trace->program));
    if (strcmp(trace->place, "-") != 0)
        add_example(&cause->places, place);
}

static void count(const struct trace *trace)
{
    switch (trace->event) {
    case TRACE_start:
    case TRACE_left:
    case TRACE_alone:
        find_row(&tally.programs, trace->program)->n[trace->event]++;
        break;
    case TRACE_exec:
    case TRACE_bare:
    case TRACE_off:
    case TRACE_user:
    case TRACE_away:
        find_row(&tally.files, trace->program)->n[trace->event]++;
        break;
    case TRACE_reason:
        count_cause(trace);
        break;
    case TRACE_cut:
        tally.cut = true;
        break;
    case TRACE_connect:
        find_row(&tally.programs, trace->program)->n[trace->event]++;
        /* fall through */
    default:
        find_row(&tally.places, trace->place)->n[trace->event]++;
    }
}

static unsigned long weight(const struct tally_row *row)
{
    return row->n[TRACE_connect] + row->n[TRACE_direct] + row->n[TRACE_start] + row->n[TRACE_left];
}

static int by_weight(const void *a, const void *b)
{
    unsigned long x = weight(a), y = weight(b);

    return x != y ? (x < y) - (x > y) : strcmp(((const struct tally_row *)a)->name, ((const struct tally_row *)b)->name);
}

/* Whoever made connections comes before whoever made none. */
static int by_use(const void *a, const void *b)
{
    const struct tally_row *x = a, *y = b;
    bool used = x->n[TRACE_connect] != 0;

    return used != (y->n[TRACE_connect] != 0) ? (used ? -1 : 1) : by_weight(a, b);
}

static int by_count(const void *a, const void *b)
{
    const struct tally_cause *x = a, *y = b;

    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : (int)x->reason - (int)y->reason;
}

/* Examples point to rows, so they are counted after the tables were sorted: twice through the file. */
void tally_read(FILE *events)
{
    char line[TRACE_LINE + 1];
    struct trace trace;

    for (int pass = 0; pass < 2; pass++) {
        rewind(events);
        while (fgets(line, sizeof line, events)) {
            size_t len = strcspn(line, "\n");
            bool mine = trace_parse(line, len, &trace);
            if (mine && (pass == 0 ? trace.event != TRACE_reason : trace.event == TRACE_reason))
                count(&trace);
        }
        if (pass == 0) {
            qsort(tally.programs.rows, tally.programs.count, sizeof(struct tally_row), by_use);
            qsort(tally.places.rows, tally.places.count, sizeof(struct tally_row), by_weight);
        }
    }
    qsort(tally.causes, REASON_count, sizeof(struct tally_cause), by_count);
}

unsigned long tally_silent(const struct tally_row *place)
{
    unsigned long used = place->n[TRACE_adapted] + place->n[TRACE_observed] + place->n[TRACE_direct] + place->n[TRACE_fail];

    return place->n[TRACE_connect] > used ? place->n[TRACE_connect] - used : 0;
}
