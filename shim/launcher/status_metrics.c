/* SPDX-License-Identifier: ISC */
/* Two formats for Prometheus.  Every sample has the user as a label: node_exporter puts the files of several users
 * together.  OpenMetrics names a counter without the "_total" of its samples, ends with "# EOF", and
 * has units.  The text format, which node_exporter's textfile collector reads, names it with "_total": what is named
 * otherwise loses its type there. */
#include "launcher/status.h"

#include "base/version.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

static bool is_openmetrics;
static unsigned uid;

static double seconds(uint64_t ms)
{
    return (double)ms / 1000;
}

static void begin(const char *name, const char *type, const char *help)
{
    printf("# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

/* Its name ends in "_seconds". */
static void begin_seconds(const char *name, const char *help)
{
    begin(name, "gauge", help);
    if (is_openmetrics)
        printf("# UNIT %s seconds\n", name);
}

static void begin_counter(const char *name, const char *help)
{
    const char *end = is_openmetrics ? "" : "_total";

    printf("# TYPE %s%s counter\n# HELP %s%s %s\n", name, end, name, end, help);
}

static void counter(const char *name, const char *help, uint64_t value)
{
    begin_counter(name, help);
    printf("%s_total{uid=\"%u\"} %" PRIu64 "\n", name, uid, value);
}

static void print_what(const struct status *s)
{
    begin("holdfast_build_info", "gauge", "The release, and what is counted: a tree or a broker.");
    printf("holdfast_build_info{uid=\"%u\",version=\"" HOLDFAST_VERSION "\",kind=\"%s\"} 1\n", uid, status_kind(s));
    begin_seconds("holdfast_age_seconds", "How long the tree or the broker has existed.");
    printf("holdfast_age_seconds{uid=\"%u\"} %.3f\n", uid, seconds(s->age_ms));
    begin("holdfast_broker_up", "gauge", "Whether a broker answers.");
    printf("holdfast_broker_up{uid=\"%u\"} %d\n", uid, s->answered);
}

static void print_idle_at(const struct status_row *row, const char *place, unsigned count)
{
    printf("holdfast_idle_connections{uid=\"%u\",endpoint=\"%s\",place=\"%s\"} %u\n", uid, row->endpoint, place, count);
}

/* Metrics of one family stand together. */
static void print_idle(const struct status *s)
{
    begin("holdfast_idle_connections", "gauge", "Idle connections, between processes or held by the broker.");
    for (size_t i = 0; i < s->count; i++) {
        print_idle_at(&s->rows[i], "queue", s->rows[i].queued);
        print_idle_at(&s->rows[i], "broker", s->rows[i].held);
    }
    begin_seconds("holdfast_idle_oldest_seconds", "How long the oldest idle connection has been idle.");
    for (size_t i = 0; i < s->count; i++)
        printf("holdfast_idle_oldest_seconds{uid=\"%u\",endpoint=\"%s\"} %.3f\n", uid, s->rows[i].endpoint,
               seconds(s->rows[i].oldest_ms));
}

static void print_leases(const char *from, uint64_t count)
{
    printf("holdfast_leases_total{uid=\"%u\",from=\"%s\"} %" PRIu64 "\n", uid, from, count);
}

static void print_misses(const struct status *s)
{
    begin_counter("holdfast_misses", "Why a connection was not reused, not adapted or not parked.");
    for (unsigned i = REASON_none + 1; i < REASON_count; i++)
        printf("holdfast_misses_total{uid=\"%u\",reason=\"%s\"} %" PRIu64 "\n", uid, reason_name((enum reason)i),
               s->counted.reasons[i]);
}

static void print_metrics(const struct status *s)
{
    struct status_counts counts = status_count(&s->counted);

    uid = s->uid;
    print_what(s);
    print_idle(s);
    begin_counter("holdfast_leases", "Connects that got an idle connection, by who had kept it.");
    print_leases("process", counts.own);
    print_leases("others", counts.others);
    print_leases("broker", counts.broker);
    counter("holdfast_requests", "Heads of requests.", s->counted.requests);
    counter("holdfast_connects", "Connects of programs.", s->counted.connects);
    counter("holdfast_opened", "Connects that really opened a connection.", s->counted.fresh);
    counter("holdfast_handshakes_saved", "Connects that opened none.", counts.saved);
    counter("holdfast_parks", "Connections kept for reuse.", s->counted.parked);
    counter("holdfast_broker_ended", "Connections that their servers closed while the broker had them.",
            s->counted.ended);
    counter("holdfast_broker_unanswered", "Questions that the broker did not answer in time.", s->counted.unanswered);
    print_misses(s);
}

/* https://prometheus.io/docs/specs/om/open_metrics_spec/, without the types that the text format does not know. */
void status_openmetrics(const struct status *s)
{
    is_openmetrics = true;
    print_metrics(s);
    printf("# EOF\n");
}

/* https://prometheus.io/docs/instrumenting/exposition_formats/ */
void status_prometheus(const struct status *s)
{
    is_openmetrics = false;
    print_metrics(s);
}
