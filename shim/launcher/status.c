/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/status.h"

#include "launcher/fail.h"
#include "launcher/job.h"
#include "launcher/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NOTHING = 1 };

/* Each process adds its numbers when it can: they need not fit together at every moment. */
static uint64_t less(uint64_t all, uint64_t part)
{
    return all > part ? all - part : 0;
}

struct status_counts status_count(const struct board *counted)
{
    return (struct status_counts){ .connects = counted->connects,
                                   .opened = counted->fresh,
                                   .own = less(counted->leased, counted->taken),
                                   .others = less(counted->taken, counted->asked_for),
                                   .broker = counted->asked_for,
                                   .saved = less(counted->connects, counted->fresh),
                                   .parked = counted->parked };
}

const char *status_kind(const struct status *s)
{
    return s->kind == BOARD_BROKER ? "broker" : "tree";
}

static const struct format {
    const char *name;
    void (*print)(const struct status *s);
} formats[] = {
    { "", status_table },
    { "json", status_json },
    { "openmetrics", status_openmetrics },
    { "prometheus", status_prometheus },
};

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

/* What is asked for. */
struct question {
    pid_t pid; /* 0: no process is named */
    const struct format *format;
    struct job job;
};

static bool parse_pid(const char **word, pid_t *pid)
{
    char *end;
    long number = strtol(*word, &end, 10);

    if (**word < '0' || **word > '9' || number <= 0 || number > INT_MAX || (*end && *end != ','))
        return false;
    *pid = (pid_t)number;
    *word = *end && end[1] ? end + 1 : end; /* a comma has something behind it */
    return true;
}

static void parse(const char *what, struct question *q)
{
    const char *word = what;

    *q = (struct question){ .pid = 0 };
    if (*word >= '0' && *word <= '9' && !parse_pid(&word, &q->pid))
        options_refuse_value("--status", what, "the number of a process");
    q->format = find_format(word);
    if (!q->format)
        options_refuse_value("--status", what, "the number of a process, json, openmetrics or prometheus");
}

static _Noreturn void refuse_job(const struct question *q, const char *why)
{
    fprintf(stderr, "holdfast: %ld: %s\n", (long)q->pid, why);
    exit(NOTHING);
}

static void look_first(struct question *q, struct status *s)
{
    if (q->pid) {
        const char *why = job_find(q->pid, &q->job);
        if (why)
            refuse_job(q, why);
        status_look_at_job(s, &q->job);
        close(q->job.board);
    } else if (!status_look_around(s)) {
        fputs("holdfast: nothing to report: not inside `holdfast COMMAND`, and no broker runs for this user\n",
              stderr);
        exit(NOTHING);
    }
}

static bool look_again(struct question *q, struct status *s)
{
    static struct board before;

    free(s->rows);
    free(s->facts);
    before = s->counted;
    *s = (struct status){ .before = &before };
    if (!q->pid)
        return status_look_around(s);
    if (!job_find_again(&q->job))
        return false;
    status_look_at_job(s, &q->job);
    close(q->job.board);
    return true;
}

static void print(const struct question *q, const struct status *s, const char *before)
{
    fputs(before, stdout);
    q->format->print(s);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
}

static void wait_for(double seconds)
{
    struct timespec left = { .tv_sec = (time_t)seconds };

    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

void status_show(const char *what, double every_s)
{
    static struct status status;
    static struct question q;
    const char *term = getenv("TERM");

    parse(what, &q);
    bool table = q.format->print == status_table;
    bool clears = table && every_s > 0 && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
    const char *between = clears ? "\033[H\033[2J" : table ? "\n" : "";
    if (every_s > 0 && !table && q.format->print != status_json)
        fail("--watch", "only for people and with json");
    look_first(&q, &status);
    print(&q, &status, clears ? between : "");
    while (every_s > 0) {
        wait_for(every_s);
        if (!look_again(&q, &status)) {
            if (table)
                printf("\nThe last of these processes has exited.\n");
            break;
        }
        print(&q, &status, between);
    }
    exit(0);
}
