/* SPDX-License-Identifier: ISC */
/* One page: what is many is summed up. */
#include "launcher/report.h"

#include "launcher/settings.h"
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
        fprintf(out, run->incomplete ? "holdfast: the connections could not be recorded\n"
                                     : "holdfast: no connection was seen\n");
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

/* False: none did that. */
static bool write_programs(FILE *out, const char *what, enum trace_event event)
{
    struct text text = { .len = 0 };

    add_counts(&text, &tally.programs, event);
    if (text.len)
        text_wrap(out, what, text.data, 4);
    return text.len > 0;
}

/* Programs that say nothing of themselves. */
struct unseen {
    FILE *out;
    unsigned shown, more;
};

static void write_unseen(struct unseen *unseen, const char *name, const char *reason, unsigned long times)
{
    struct text text = { .len = 0 };

    if (unseen->shown++ >= FILES) {
        unseen->more++;
        return;
    }
    add(&text, "Not seen: %s: %s", name, reason);
    if (times > 1)
        add(&text, " (%lu times)", times);
    text_wrap(unseen->out, "", text.data, 4);
}

/* What the program that started it knew. */
static const struct {
    enum trace_event event;
    const char *reason;
} departures[] = {
    { TRACE_off, "ran with HOLDFAST=0" },
    { TRACE_user, "ran as another user: put holdfast behind what changes the user" },
    { TRACE_away, "ran in another root directory: holdfast has to be there, too" },
    { TRACE_bare, "started without LD_PRELOAD in its environment" },
};

static void write_unseen_file(struct unseen *unseen, const struct tally_row *file, const char *library)
{
    struct look look;

    for (size_t i = 0; i < sizeof departures / sizeof *departures; i++)
        if (file->n[departures[i].event])
            write_unseen(unseen, file->name, departures[i].reason, file->n[departures[i].event]);
    if (!file->n[TRACE_exec])
        return;
    look_at_command(file->name, library, &look);
    if (*look.path && look.reason)
        write_unseen(unseen, file->name, look.reason, file->n[TRACE_exec]);
}

static void write_all_unseen(FILE *out, const struct report_run *run)
{
    struct unseen unseen = { .out = out };
    const struct look *look = run->look;

    if (look->reason)
        write_unseen(&unseen, *look->interpreter ? look->interpreter : look->path, look->reason, 1);
    for (unsigned i = 0; i < tally.files.count; i++)
        write_unseen_file(&unseen, &tally.files.rows[i], run->library);
    if (unseen.more)
        fprintf(out, "Not seen: %u other programs\n", unseen.more);
}

/* What keeps all of the processes, or some of them, from sharing. */
static void write_sharing(FILE *out, const struct report_run *run)
{
    const char *advice = run->sharing.advice;
    struct text text = { .len = 0 };

    if (run->sharing.obstacle) {
        add(&text, "Each process kept its idle connections to itself: %s", run->sharing.obstacle);
        text_wrap(out, "", text.data, 4);
    } else if (write_programs(out, "Kept their idle connections to themselves: ", TRACE_alone)) {
        advice = "Look for HOLDFAST_SHARE=off where these programs are started, and for a program before them that closes "
                 "descriptors which it did not open.";
    } else {
        return;
    }
    text_wrap(out, "    What to do: ", advice, 8);
}

static void write_files(FILE *out, const struct report_run *run)
{
    for (const char *const *name = settings_files; *name && !run->files_told; name++) {
        const char *path = getenv(*name);
        int error = path && *path ? settings_file_error(path) : 0;
        struct text text = { .len = 0 };

        if (!error)
            continue;
        add(&text, "%s=%s: cannot be written: %s", *name, path, strerror(error));
        text_wrap(out, "", text.data, 4);
    }
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
    write_all_unseen(out, run);
    write_sharing(out, run);
    write_files(out, run);
    if (tally.places.count)
        write_places(out);
    write_causes(out);
    if (tally.cut)
        fprintf(out, "\nMore happened than is recorded of one process: the numbers are too low.\n");
    if (run->incomplete)
        fprintf(out, "\nNot everything could be recorded: the numbers are too low.\n"
                     "    What to do: let TMPDIR name a folder with more room; raise ulimit -f and ulimit -n.\n");
    fflush(out);
}
