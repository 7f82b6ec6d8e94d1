/* SPDX-License-Identifier: ISC */
#include "launcher/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static double seconds(uint64_t ms)
{
    return (double)ms / 1000;
}

static void sum(const struct status *s, unsigned long *queued, unsigned long *held)
{
    *queued = *held = 0;
    for (size_t i = 0; i < s->count; i++) {
        *queued += s->rows[i].queued;
        *held += s->rows[i].held;
    }
}

static void print_head(const struct status *s)
{
    if (s->kind != BOARD_BROKER && s->job)
        printf("Process %ld (%s) and the others under the same holdfast, of user %u, for %.1f s\n", (long)s->job,
               s->job_name, s->uid, seconds(s->age_ms));
    else if (s->kind != BOARD_BROKER)
        printf("The processes under one holdfast, of user %u, for %.1f s\n", s->uid, seconds(s->age_ms));
    else if (s->answered)
        printf("The broker of user %u, process %u, for %.1f s\n", s->uid, s->pid, seconds(s->age_ms));
    else
        printf("The broker of user %u, begun %.1f s ago, does not answer\n", s->uid, seconds(s->age_ms));
    if (s->kind == BOARD_BROKER && s->job)
        printf("Process %ld (%s) uses it\n", (long)s->job, s->job_name);
}

static void print_number(const char *what, uint64_t count, const uint64_t *before)
{
    printf("%-42s %10" PRIu64, what, count);
    if (before && count > *before)
        printf(" %+10" PRId64, (int64_t)(count - *before));
    putchar('\n');
}

static void print_rows(const struct status *s)
{
    unsigned long queued, held;

    if (!s->queues_seen) {
        printf("\nIdle connections: not shown, because the system lets only root look into a process of another terminal\n"
               "(kernel.yama.ptrace_scope, for example).\n");
        return;
    }
    sum(s, &queued, &held);
    printf("\n%-42s %10s %10s %10s\n", "idle at", "in queues", "in broker", "oldest");
    for (size_t i = 0; i < s->count; i++)
        printf("%-42s %10u %10u %8.1f s\n", s->rows[i].endpoint, s->rows[i].queued, s->rows[i].held,
               seconds(s->rows[i].oldest_ms));
    printf("%-42s %10lu %10lu\n", "all", queued, held);
}

static void print_facts(const struct status *s)
{
    if (s->facts_count)
        printf("\n%-31s %10s\n", "known of the server", "for");
    for (size_t i = 0; i < s->facts_count; i++)
        printf("%-31s %8u s that it %s\n", s->facts[i].endpoint, s->facts[i].left_s,
               evidence_sentence(s->facts[i].what));
}

static void print_counts(const struct status *s)
{
    struct status_counts now = status_count(&s->counted), before = { 0 };

    if (s->before)
        before = status_count(s->before);
#define COUNT(what, field) print_number(what, now.field, s->before ? &before.field : NULL)
    COUNT("connects", connects);
    COUNT("  opened", opened);
    COUNT("  reused: own process", own);
    COUNT("  reused: another process", others);
    COUNT("  reused: broker", broker);
    COUNT("handshakes saved", saved);
    COUNT("parked", parked);
#undef COUNT
}

void status_table(const struct status *s)
{
    print_head(s);
    printf("\n");
    print_counts(s);
    print_rows(s);
    print_facts(s);
    for (unsigned i = 0; i < s->unwritten_count; i++)
        printf("\n%s=%s: cannot be written: %s\n", s->unwritten[i].setting, s->unwritten[i].path,
               strerror(s->unwritten[i].error));
    printf("\nWhy connections were not reused, not adapted or not parked:\n");
    for (unsigned i = REASON_none + 1; i < REASON_count; i++)
        if (s->counted.reasons[i])
            printf("%10" PRIu64 " %-20s %s\n", s->counted.reasons[i], reason_name((enum reason)i),
                   reason_sentence((enum reason)i));
}

void status_json(const struct status *s)
{
    struct status_counts counts = status_count(&s->counted);
    const char *comma = "";

    printf("{\"kind\":\"%s\",\"uid\":%u,\"pid\":%u,\"answers\":%s,\"age_seconds\":%.3f,\"handshakes_saved\":%" PRIu64,
           status_kind(s), s->uid, s->pid, s->answered ? "true" : "false", seconds(s->age_ms), counts.saved);
    if (s->job)
        printf(",\"job\":%ld", (long)s->job);
#define X(name) printf(",\"" #name "\":%" PRIu64, s->counted.name);
    BOARD_COUNTERS(X)
#undef X
    printf(",\"leases\":{\"process\":%" PRIu64 ",\"others\":%" PRIu64 ",\"broker\":%" PRIu64 "},\"idle\":%s",
           counts.own, counts.others, counts.broker, s->queues_seen ? "[" : "null");
    for (size_t i = 0; i < s->count; i++, comma = ",")
        printf("%s{\"endpoint\":\"%s\",\"queued\":%u,\"held\":%u,\"oldest_seconds\":%.3f}", comma,
               s->rows[i].endpoint, s->rows[i].queued, s->rows[i].held, seconds(s->rows[i].oldest_ms));
    printf("%s,\"servers\":[", s->queues_seen ? "]" : "");
    comma = "";
    for (size_t i = 0; i < s->facts_count; i++, comma = ",")
        printf("%s{\"endpoint\":\"%s\",\"known\":\"%s\",\"seconds\":%u}", comma, s->facts[i].endpoint,
               evidence_word(s->facts[i].what), s->facts[i].left_s);
    printf("],\"misses\":{");
    comma = "";
    for (unsigned i = REASON_none + 1; i < REASON_count; i++)
        if (s->counted.reasons[i]) {
            printf("%s\"%s\":%" PRIu64, comma, reason_name((enum reason)i), s->counted.reasons[i]);
            comma = ",";
        }
    printf("},\"unwritten\":{");
    comma = "";
    for (unsigned i = 0; i < s->unwritten_count; i++, comma = ",")
        printf("%s\"%s\":\"%s\"", comma, s->unwritten[i].setting, strerror(s->unwritten[i].error));
    printf("}}\n");
}
