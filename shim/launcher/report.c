/* One page: what is many is summed up. */
#include "launcher/report.h"

#include "launcher/tally.h"
#include "launcher/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { PLACES = 8, CAUSES = 10, NAMES = 10, FILES = 6, TEXT_MAX = 1024 };

/* A sentence that is put together from parts. */
struct text {
    char data[TEXT_MAX];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int len = vsnprintf(text->data + text->len, TEXT_MAX - text->len, format, ap);
    va_end(ap);
    if (len > 0)
        text->len = text->len + (size_t)len < TEXT_MAX ? text->len + (size_t)len : TEXT_MAX - 1;
}

static unsigned long leased(const struct tally_row *place)
{
    return place->n[TRACE_lease] > place->n[TRACE_return] ? place->n[TRACE_lease] - place->n[TRACE_return] : 0;
}

/* "holdfast: 68 of 70 connections saved (97%)", and how the command ended. */
static void write_summary(FILE *out, const struct report_run *run)
{
    unsigned long connects = 0, saved = 0;
    struct text text = { .len = 0 };

    for (unsigned i = 0; i < tally.places.count; i++) {
        connects += tally.places.rows[i].n[TRACE_connect];
        saved += leased(&tally.places.rows[i]);
    }
    if (connects)
        fprintf(out, "holdfast: %lu of %lu connections saved (%lu%%)\n", saved, connects, saved * 100 / connects);
    else
        fprintf(out, "holdfast: no connection was seen\n");
    add(&text, "%s ", run->command);
    if (WIFSIGNALED(run->status))
        add(&text, "was killed by signal %d (%s)", WTERMSIG(run->status), strsignal(WTERMSIG(run->status)));
    else
        add(&text, "exited with status %d", WEXITSTATUS(run->status));
    add(&text, " after %.1f s", run->seconds);
    text_wrap(out, "", text.data, 4);
}

/* "curl 1000, sh 1 and 3 others" */
static void add_counts(struct text *text, const struct tally_table *table, enum trace_event event)
{
    unsigned shown = 0, more = 0;

    for (unsigned i = 0; i < table->count; i++) {
        if (!table->rows[i].n[event])
            continue;
        if (shown++ < NAMES)
            add(text, "%s%s %lu", shown > 1 ? ", " : "", table->rows[i].name, table->rows[i].n[event]);
        else
            more++;
    }
    if (more)
        add(text, " and %u others", more);
}

static void write_programs(FILE *out, const char *what, enum trace_event event)
{
    struct text text = { .len = 0 };

    add_counts(&text, &tally.programs, event);
    if (!text.len)
        return;
    text_wrap(out, what, text.data, 4);
}

/* Why there is nothing to be seen of a program.  NULL: there is. */
static const char *blindness(const struct tally_row *file, const char *library, struct look *look)
{
    if (file->n[TRACE_bare])
        return "started without LD_PRELOAD in its environment";
    look_at_command(file->name, library, look);
    return *look->path ? look->reason : NULL;
}

static void write_unseen(FILE *out, const struct report_run *run)
{
    struct look look;
    unsigned shown = 0, more = 0;

    if (run->look->reason) {
        struct text text = { .len = 0 };
        add(&text, "Not seen: %s: %s", *run->look->interpreter ? run->look->interpreter : run->look->path,
            run->look->reason);
        text_wrap(out, "", text.data, 4);
    }
    for (unsigned i = 0; i < tally.files.count; i++) {
        const struct tally_row *file = &tally.files.rows[i];
        const char *reason = blindness(file, run->library, &look);
        struct text text = { .len = 0 };

        if (!reason)
            continue;
        if (shown++ >= FILES) {
            more++;
            continue;
        }
        unsigned long times = file->n[TRACE_exec] + file->n[TRACE_bare];
        add(&text, "Not seen: %s: %s", file->name, reason);
        if (times > 1)
            add(&text, " (%lu times)", times);
        text_wrap(out, "", text.data, 4);
    }
    if (more)
        fprintf(out, "Not seen: %u other programs\n", more);
}

static void write_place(FILE *out, const struct tally_row *row, const char *name)
{
    unsigned long opened = row->n[TRACE_open] > row->n[TRACE_fail] ? row->n[TRACE_open] - row->n[TRACE_fail] : 0;
    unsigned long reused = leased(row);

    fprintf(out, "%9lu %7lu %7lu %8lu %9lu %8lu  %s\n", row->n[TRACE_connect], opened, reused, row->n[TRACE_adapted],
            row->n[TRACE_observed] + row->n[TRACE_more], row->n[TRACE_direct], name);
}

static void write_places(FILE *out)
{
    struct tally_row rest = { .name = "" };
    unsigned others = 0;

    fprintf(out, "\n connects  opened  reused  adapted  observed bypassed\n");
    for (unsigned i = 0; i < tally.places.count; i++) {
        const struct tally_row *row = &tally.places.rows[i];
        if (i < PLACES) {
            write_place(out, row, strcmp(row->name, "-") == 0 ? "(not connected)" : row->name);
            continue;
        }
        others++;
        for (unsigned k = 0; k < TRACE_COUNT; k++)
            rest.n[k] += row->n[k];
    }
    (void)snprintf(rest.name, sizeof rest.name, "%u others", others);
    if (others)
        write_place(out, &rest, rest.name);
    text_wrap(out, " ",
              "connects: what the programs asked for. opened: new connections, a handshake each. reused: an idle "
              "connection was used. adapted: requests of one-shot clients. observed: requests of clients that "
              "manage keep-alive themselves. bypassed: connections that the library leaves to libc.",
              1);
}

static void add_examples(struct text *text, const struct tally_examples *examples)
{
    for (int i = 0; i < TALLY_EXAMPLES && examples->rows[i]; i++)
        add(text, "%s%s", i ? ", " : "", examples->rows[i]->name);
    if (examples->more)
        add(text, " and others");
}

static void write_cause(FILE *out, unsigned long count, const char *sentence, const char *advice,
                        const struct tally_cause *cause)
{
    struct text text = { .len = 0 };
    char number[32];

    (void)snprintf(number, sizeof number, "%6lu  ", count);
    add(&text, "%s", sentence);
    if (cause) {
        add(&text, " (");
        add_examples(&text, &cause->programs);
        add(&text, cause->places.rows[0] ? ", to " : "");
        add_examples(&text, &cause->places);
        add(&text, ")");
    }
    text_wrap(out, number, text.data, 8);
    if (*advice)
        text_wrap(out, "        What to do: ", advice, 10);
}

static void write_causes(FILE *out)
{
    unsigned long silent = 0, failed = 0, more = 0;
    unsigned i, kinds = 0;

    for (i = 0; i < tally.places.count && !tally.cut; i++) {
        silent += tally_silent(&tally.places.rows[i]);
        failed += tally.places.rows[i].n[TRACE_fail];
    }
    if (!silent && !failed && !tally.causes[0].count)
        return;
    fprintf(out, "\nWhy not more were reused:\n");
    for (i = 0; i < REASON_count && tally.causes[i].count; i++) {
        const struct tally_cause *cause = &tally.causes[i];
        if (i < CAUSES) {
            write_cause(out, cause->count, reason_sentence(cause->reason), reason_advice(cause->reason), cause);
            continue;
        }
        kinds++;
        more += cause->count;
    }
    if (kinds)
        fprintf(out, "%6lu  of %u other reasons: HOLDFAST_LOG has them\n", more, kinds);
    if (silent)
        write_cause(out, silent, "no whole HTTP request was sent on the connection", "", NULL);
    if (failed)
        write_cause(out, failed, "could not be opened", "", NULL);
}

void report_write(FILE *out, FILE *events, const struct report_run *run)
{
    tally_read(events);
    write_summary(out, run);
    if (!run->look) {
        fprintf(out, "HOLDFAST=0: switched off\n");
        fflush(out);
        return;
    }
    write_programs(out, "Programs with holdfast: ", TRACE_start);
    write_programs(out, "Bypassed by HOLDFAST_COMMANDS_ONLY or HOLDFAST_COMMANDS_EXCEPT: ", TRACE_left);
    write_unseen(out, run);
    if (tally.places.count)
        write_places(out);
    write_causes(out);
    if (tally.cut)
        fprintf(out, "\nMore happened than could be recorded: the numbers are too low.\n");
    fflush(out);
}
