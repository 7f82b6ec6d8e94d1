#define _GNU_SOURCE
#include "launcher/status.h"

#include "launcher/broker.h"
#include "launcher/fail.h"
#include "launcher/tree.h"
#include "pool/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NOTHING = 1, WAIT_MS = 1000, RECORDS_MOST = 1 << 20 };

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

static void look(struct status *s, const struct tree *tree)
{
    struct gathering g = { .status = s, .now_ms = tree_now_ms() };
    const struct board *board;

    s->uid = tree->uid;
    s->kind = (enum board_kind)tree_board(tree);
    board = s->kind ? board_map(tree->first + TREE_BOARD) : NULL;
    if (board) {
        s->counted = *board;
        s->age_ms = g.now_ms > board->head.made_ms ? g.now_ms - board->head.made_ms : 0;
        gather_facts(s);
    }
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

uint64_t status_saved(const struct status *s)
{
    return s->counted.connects > s->counted.fresh ? s->counted.connects - s->counted.fresh : 0;
}

/* Each process adds its numbers when it can: they need not fit together at every moment. */
struct status_leases status_leases(const struct status *s)
{
    uint64_t leased = s->counted.leased, taken = s->counted.taken, asked = s->counted.asked_for;

    return (struct status_leases){ .own = leased > taken ? leased - taken : 0,
                                   .others = taken > asked ? taken - asked : 0,
                                   .broker = asked };
}

static const struct {
    const char *name;
    void (*print)(const struct status *s);
} formats[] = { { "", status_table }, { "json", status_json }, { "openmetrics", status_openmetrics } };

void status_show(const char *format)
{
    static struct status status;
    struct tree tree;
    size_t i = 0;

    while (i < sizeof formats / sizeof *formats && strcmp(formats[i].name, format) != 0)
        i++;
    if (i == sizeof formats / sizeof *formats)
        fail("--status", "expected --status, --status=json or --status=openmetrics");
    if (!tree_reach(&tree) && !tree_with_numbers(get_from_broker, &tree)) {
        fputs("holdfast: nothing to report: not inside `holdfast COMMAND`, and no broker runs for this user\n",
              stderr);
        exit(NOTHING);
    }
    look(&status, &tree);
    formats[i].print(&status);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
    exit(0);
}
