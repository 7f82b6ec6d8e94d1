/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/status.h"

#include "base/kernel.h"
#include "launcher/broker.h"
#include "launcher/fail.h"
#include "launcher/job.h"
#include "launcher/settings.h"
#include "launcher/tree.h"
#include "pool/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 1000, RECORDS_MOST = 1 << 20 };

/* What is gathered first: an endpoint may be in several rows. */
struct gathering {
    struct status *status;
    size_t room;
    uint64_t now_ms;
};

static void gather(struct gathering *g, const struct endpoint *to, unsigned queued, unsigned held,
                   uint64_t since_ms)
{
    struct status *s = g->status;

    if (s->count == g->room) {
        g->room = g->room ? 2 * g->room : 64;
        s->rows = reallocarray(s->rows, g->room, sizeof *s->rows);
        if (!s->rows)
            fail("no memory", strerror(ENOMEM));
    }
    struct status_row *row = &s->rows[s->count++];
    *row = (struct status_row){
        .queued = queued, .held = held, .oldest_ms = g->now_ms > since_ms ? g->now_ms - since_ms : 0
    };
    endpoint_text(to, row->endpoint);
}

static void gather_queued(void *arg, const struct endpoint *to, const struct idle *idle)
{
    gather(arg, to, 1, 0, idle->parked_ms);
}

static void gather_held(struct gathering *g, int file, unsigned records)
{
    struct broker_record record;

    for (unsigned i = 0; i < records && i < RECORDS_MOST; i++) {
        if (pread(file, &record, sizeof record, (off_t)(i * sizeof record)) != sizeof record)
            return;
        gather(g, &record.to, 0, record.idle, record.oldest_ms);
    }
}

static int by_endpoint(const void *a, const void *b)
{
    const struct status_row *x = a, *y = b;

    return strcmp(x->endpoint, y->endpoint);
}

static void merge(struct status *s)
{
    size_t kept = 0;

    if (s->count)
        qsort(s->rows, s->count, sizeof *s->rows, by_endpoint);
    for (size_t i = 0; i < s->count; i++) {
        struct status_row *row = &s->rows[i], *last = kept ? &s->rows[kept - 1] : NULL;

        if (!last || strcmp(last->endpoint, row->endpoint) != 0) {
            s->rows[kept++] = *row;
            continue;
        }
        last->queued += row->queued;
        last->held += row->held;
        last->oldest_ms = row->oldest_ms > last->oldest_ms ? row->oldest_ms : last->oldest_ms;
    }
    s->count = kept;
}

static void gather_fact(void *arg, const struct endpoint *place, enum evidence what, uint32_t left_s)
{
    struct status *s = arg;

    s->facts = reallocarray(s->facts, s->facts_count + 1, sizeof *s->facts);
    if (!s->facts)
        fail("no memory", strerror(ENOMEM));
    struct status_fact *fact = &s->facts[s->facts_count++];
    *fact = (struct status_fact){ .what = what, .left_s = left_s };
    endpoint_text(place, fact->endpoint);
}

static void gather_facts(struct status *s)
{
    struct timespec now;

    clock_gettime(EVIDENCE_CLOCK, &now);
    evidence_table_each(&s->counted.evidence, (uint32_t)now.tv_sec, gather_fact, s);
}

static void ask_broker(struct gathering *g, const struct tree *tree)
{
    struct broker_reply reply = { .magic = 0 };
    int file;

    if (broker_status(tree, &reply, &file, WAIT_MS) != 0)
        return;
    g->status->answered = true;
    g->status->pid = reply.pid;
    gather_held(g, file, reply.records);
    close(file);
}

/* Copied, not mapped: a process with other rights may look. */
static void read_board(struct status *s, int fd)
{
    char token[BOARD_TOKEN];
    uint64_t now_ms = tree_now_ms();

    s->kind = board_read(fd, token);
    if (!s->kind || pread(fd, &s->counted, sizeof s->counted, 0) != sizeof s->counted)
        return;
    s->age_ms = now_ms > s->counted.head.made_ms ? now_ms - s->counted.head.made_ms : 0;
    gather_facts(s);
}

static void look_into_queues(struct status *s, const struct tree *tree)
{
    struct gathering g = { .status = s, .now_ms = tree_now_ms() };

    s->queues_seen = true;
    for (unsigned i = 0; i < TREE_QUEUES; i++)
        if (tree_has(tree, i))
            tree_look(tree, i, g.now_ms, gather_queued, &g);
    if (tree_has_line(tree))
        ask_broker(&g, tree);
    merge(s);
}

static bool get_from_broker(void *arg, int first)
{
    return broker_get_running(arg, first, WAIT_MS);
}

/* By the settings in our environment. */
static void try_files(struct status *s)
{
    for (unsigned i = 0; i < STATUS_FILES && settings_files[i]; i++) {
        const char *path = getenv(settings_files[i]);
        int error = path && *path ? settings_file_error(path) : 0;

        if (error)
            s->unwritten[s->unwritten_count++] = (struct status_unwritten){ settings_files[i], path, error };
    }
}

/* Where we are, or else of our user's broker. */
bool status_look_around(struct status *s)
{
    struct tree tree;

    if (!tree_reach(&tree) && !tree_with_numbers(get_from_broker, &tree))
        return false;
    s->uid = tree.uid;
    read_board(s, tree.first + TREE_BOARD);
    look_into_queues(s, &tree);
    tree_destroy(&tree);
    try_files(s);
    return true;
}

/* The way to the broker where there is no line to copy: a policy forbids it, or the job is the broker itself. */
static bool join_broker_of(const struct job *job, struct tree *tree)
{
    if (!tree_with_numbers(get_from_broker, tree))
        return false;
    if (strcmp(tree->token, job->token) == 0)
        return true;
    tree_destroy(tree);
    return false;
}

/* As the job's user: queues and broker ask the kernel who looks. */
static void look_as_owner(struct status *s, const struct job *job, struct tree *tree, bool copied)
{
    struct tree joined;

    if (s->kind == BOARD_BROKER && !(copied && tree_has_line(tree)) && join_broker_of(job, &joined)) {
        look_into_queues(s, &joined);
        tree_destroy(&joined);
    } else if (copied) {
        look_into_queues(s, tree);
    }
}

/* What another user, or a process with another root directory, could write to is not known here. */
static void try_files_of_job(struct status *s, const struct job *job)
{
    if (kernel_euid() != s->uid || !job_has_our_root(job))
        return;
    for (const char *const *name = settings_files; *name; name++)
        job_take_variable(job, *name);
    try_files(s);
}

/* All that needs root's rights comes before and after. */
void status_look_at_job(struct status *s, const struct job *job)
{
    const uid_t real = kernel_uid(), effective = kernel_euid(), owner = job->file.st_uid;
    struct tree tree = { .calls = &tree_calls_plain, .uid = owner };

    s->uid = owner;
    s->job = job->pid;
    s->job_name = job->name;
    read_board(s, job->board);
    memcpy(tree.token, job->token, sizeof tree.token);
    try_files_of_job(s, job);
    job_take_variable(job, "XDG_RUNTIME_DIR");
    bool copied = tree_copy(&tree, job->pid, job->first);
    if (effective == owner || setresuid(owner, owner, effective) == 0)
        look_as_owner(s, job, &tree, copied);
    if (effective != owner && setresuid(real, effective, effective) != 0)
        fail("setresuid", strerror(errno));
    if (copied)
        tree_destroy(&tree);
}
