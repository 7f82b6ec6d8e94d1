/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/explain.h"

#include "base/trace.h"
#include "launcher/child.h"
#include "launcher/fail.h"
#include "launcher/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static FILE *events, *report;
static char *events_path;

/* A FIFO that nobody reads is refused (open(2): ENXIO), not waited for; one that somebody does is written to like any
 * file. */
static FILE *open_report(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);

    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd >= 0 ? fdopen(fd, "w") : NULL;
}

static int make_events(const char *folder)
{
    free(events_path);
    events_path = fail_or_format("%s/holdfast-explain-XXXXXX", folder);
    return mkostemp(events_path, O_CLOEXEC | O_APPEND);
}

/* A container's root may have no /tmp, or one that cannot be written to. */
static int make_events_somewhere(void)
{
    static const char *const folders[] = { "/tmp", "/var/tmp", "/dev/shm" };
    const char *wanted = getenv("TMPDIR");
    char dir[PATH_MAX];
    int fd = wanted && realpath(wanted, dir) ? make_events(dir) : -1;

    for (size_t i = 0; i < sizeof folders / sizeof *folders && fd < 0; i++)
        fd = make_events(folders[i]);
    return fd >= 0 || !realpath(".", dir) ? fd : make_events(dir);
}

void explain_prepare(const char *path)
{
    report = path ? open_report(path) : stderr;
    if (!report)
        fail(path, errno == ENXIO ? "nobody reads from it" : strerror(errno));
    int fd = make_events_somewhere();
    events = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!events)
        fail("--explain needs a folder that can be written to: set TMPDIR", strerror(errno));
    fail_or_set(TRACE_VARIABLE, events_path);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool is_incomplete(void)
{
    struct stat status;

    return fstat(fileno(events), &status) == 0 && status.st_mode & TRACE_INCOMPLETE;
}

void explain_run(int (*execute)(char **command), char **command, const struct report_run *before)
{
    struct report_run run = *before;
    double start = seconds();

    run.status = child_run(execute, command);
    run.seconds = seconds() - start;
    run.incomplete = is_incomplete();
    unlink(events_path);
    report_write(report, events, &run);
    child_end_alike(run.status);
}
