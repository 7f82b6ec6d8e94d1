#include "launcher/status.h"

#include "base/version.h"

#include <inttypes.h>
#include <stdio.h>

static const char *kind_of(const struct status *s)
{
    return s->kind == BOARD_BROKER ? "broker" : "tree";
}

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
    if (s->kind != BOARD_BROKER)
        printf("The processes under one holdfast, of user %u, for %.1f s\n", s->uid, seconds(s->age_ms));
    else if (s->answered)
        printf("The broker of user %u, process %u, for %.1f s\n", s->uid, s->pid, seconds(s->age_ms));
    else
        printf("The broker of user %u, begun %.1f s ago, does not answer\n", s->uid,
               seconds(s->age_ms));
}

static void print_count(const char *what, uint64_t count)
{
    printf("%-42s %10" PRIu64 "\n", what, count);
}

static void print_facts(const struct status *s)
{
    if (s->facts_count)
        printf("\n%-31s %10s\n", "known of the server", "for");
    for (size_t i = 0; i < s->facts_count; i++)
        printf("%-31s %8u s that it %s\n", s->facts[i].endpoint, s->facts[i].left_s,
               evidence_sentence(s->facts[i].what));
}

void status_table(const struct status *s)
{
    struct status_leases leases = status_leases(s);
    unsigned long queued, held;

    print_head(s);
    printf("\n");
    print_count("connects", s->counted.connects);
    print_count("  opened", s->counted.fresh);
    print_count("  reused: own process", leases.own);
    print_count("  reused: another process", leases.others);
    print_count("  reused: broker", leases.broker);
    print_count("handshakes saved", status_saved(s));
    print_count("parked", s->counted.parked);
    sum(s, &queued, &held);
    printf("\n%-42s %10s %10s %10s\n", "idle at", "in queues", "in broker", "oldest");
    for (size_t i = 0; i < s->count; i++)
        printf("%-42s %10u %10u %8.1f s\n", s->rows[i].endpoint, s->rows[i].queued, s->rows[i].held,
               seconds(s->rows[i].oldest_ms));
    printf("%-42s %10lu %10lu\n", "all", queued, held);
    print_facts(s);
    printf("\nWhy connections were not reused, not adapted or not parked:\n");
    for (unsigned i = REASON_none + 1; i < REASON_count; i++)
        if (s->counted.reasons[i])
            printf("%10" PRIu64 " %-20s %s\n", s->counted.reasons[i], reason_name((enum reason)i),
                   reason_sentence((enum reason)i));
}

void status_json(const struct status *s)
{
    struct status_leases leases = status_leases(s);
    const char *comma = "";

    printf("{\"kind\":\"%s\",\"uid\":%u,\"pid\":%u,\"answers\":%s,\"age_seconds\":%.3f,\"handshakes_saved\":%" PRIu64,
           kind_of(s), s->uid, s->pid, s->answered ? "true" : "false", seconds(s->age_ms), status_saved(s));
#define X(name) printf(",\"" #name "\":%" PRIu64, s->counted.name);
    BOARD_COUNTERS(X)
#undef X
    printf(",\"leases\":{\"process\":%" PRIu64 ",\"others\":%" PRIu64 ",\"broker\":%" PRIu64 "},\"idle\":[",
           leases.own, leases.others, leases.broker);
    for (size_t i = 0; i < s->count; i++, comma = ",")
        printf("%s{\"endpoint\":\"%s\",\"queued\":%u,\"held\":%u,\"oldest_seconds\":%.3f}", comma,
               s->rows[i].endpoint, s->rows[i].queued, s->rows[i].held, seconds(s->rows[i].oldest_ms));
    printf("],\"servers\":[");
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
    printf("}}\n");
}

static void begin(const char *name, const char *type, const char *help)
{
    printf("# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

static void counter(const char *name, const char *help, uint64_t value)
{
    begin(name, "counter", help);
    printf("%s_total %" PRIu64 "\n", name, value);
}

/* Metrics of one family stand together. */
static void print_idle(const struct status *s)
{
    begin("holdfast_idle_connections", "gauge", "Idle connections, between processes or held by the broker.");
    for (size_t i = 0; i < s->count; i++)
        printf("holdfast_idle_connections{endpoint=\"%s\",place=\"queue\"} %u\n"
               "holdfast_idle_connections{endpoint=\"%s\",place=\"broker\"} %u\n",
               s->rows[i].endpoint, s->rows[i].queued, s->rows[i].endpoint, s->rows[i].held);
    printf("# TYPE holdfast_idle_oldest_seconds gauge\n# UNIT holdfast_idle_oldest_seconds seconds\n"
           "# HELP holdfast_idle_oldest_seconds How long the oldest idle connection has been idle.\n");
    for (size_t i = 0; i < s->count; i++)
        printf("holdfast_idle_oldest_seconds{endpoint=\"%s\"} %.3f\n", s->rows[i].endpoint,
               seconds(s->rows[i].oldest_ms));
}

/* https://prometheus.io/docs/specs/om/open_metrics_spec/ */
void status_openmetrics(const struct status *s)
{
    struct status_leases leases = status_leases(s);

    begin("holdfast", "info", "What this is.");
    printf("holdfast_info{version=\"" HOLDFAST_VERSION "\",kind=\"%s\"} 1\n", kind_of(s));
    printf("# TYPE holdfast_age_seconds gauge\n# UNIT holdfast_age_seconds seconds\n"
           "# HELP holdfast_age_seconds For how long this has been there.\nholdfast_age_seconds %.3f\n",
           seconds(s->age_ms));
    begin("holdfast_broker_up", "gauge", "Whether a broker answers.");
    printf("holdfast_broker_up %d\n", s->answered);
    print_idle(s);
    begin("holdfast_leases", "counter", "Connects that got an idle connection, by who had kept it.");
    printf("holdfast_leases_total{from=\"process\"} %" PRIu64 "\nholdfast_leases_total{from=\"others\"} %" PRIu64
           "\nholdfast_leases_total{from=\"broker\"} %" PRIu64 "\n",
           leases.own, leases.others, leases.broker);
    counter("holdfast_requests", "Heads of requests.", s->counted.requests);
    counter("holdfast_connects", "Connects of programs.", s->counted.connects);
    counter("holdfast_opened", "Connects that really opened a connection.", s->counted.fresh);
    counter("holdfast_handshakes_saved", "Connects that opened none.", status_saved(s));
    counter("holdfast_parks", "Connections kept for reuse.", s->counted.parked);
    counter("holdfast_broker_ended", "Connections that their servers closed while the broker had them.",
            s->counted.ended);
    counter("holdfast_broker_unanswered", "Questions that the broker did not answer in time.", s->counted.unanswered);
    begin("holdfast_misses", "counter", "Why a connection was not reused, not adapted or not parked.");
    for (unsigned i = REASON_none + 1; i < REASON_count; i++)
        printf("holdfast_misses_total{reason=\"%s\"} %" PRIu64 "\n", reason_name((enum reason)i),
               s->counted.reasons[i]);
    printf("# EOF\n");
}
