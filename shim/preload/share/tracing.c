/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/share/tracing.h"

#include "base/config.h"
#include "base/quiet.h"
#include "pool/endpoint.h"
#include "preload/self/env.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MOST = 200000 };

int tracing_fd = -1;
static atomic_uint lines;

/* A full disk has room for this. */
static void note_incomplete(int fd)
{
    struct stat status;

    if (fstat(fd, &status) == 0)
        fchmod(fd, (status.st_mode & 07777) | TRACE_INCOMPLETE);
}

/* Not all of the calls that come here are cancellation points.  A vfork child may have closed the file, for itself:
 * its parent goes on. */
static void write_trace(struct trace *trace)
{
    int saved = errno, state;
    char line[TRACE_LINE];
    struct quiet quiet;
    bool ours = self_is_ours();
    unsigned before = atomic_fetch_add_explicit(&lines, ours, memory_order_relaxed);

    if (before <= LINES_MOST && private_is(tracing_fd)) {
        trace->pid = getpid();
        if (before == LINES_MOST)
            trace->event = TRACE_cut;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
        quiet_begin(&quiet);
        ssize_t n = real.write(tracing_fd, line, trace_format(trace, line));
        quiet_end(&quiet, n < 0);
        if (n < 0) {
            note_incomplete(tracing_fd);
            if (ours)
                tracing_fd = -1;
        }
        pthread_setcancelstate(state, NULL);
    }
    errno = saved;
}

static void write_program(enum trace_event event, const char *program)
{
    struct trace trace = { .event = event };

    trace_set_program(&trace, *program ? program : "-");
    write_trace(&trace);
}

void tracing_start(bool left_alone)
{
    const char *path = env_get_secure(TRACE_VARIABLE);
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK) : -1;

    if (fd < 0) {
        if (path && errno == EMFILE)
            chmod(path, S_IRUSR | S_IWUSR | TRACE_INCOMPLETE);
        return;
    }
    tracing_fd = private_move(fd);
    if (tracing_fd < 0) {
        note_incomplete(fd);
        real.close(fd);
    } else
        write_program(left_alone ? TRACE_left : TRACE_start, self.name);
}

void tracing_alone(void)
{
    if (tracing_on())
        write_program(TRACE_alone, self.name);
}

void tracing_write(const struct endpoint *to, enum trace_event event, enum reason why)
{
    struct trace trace = { .event = event, .reason = why };

    if (to->port)
        endpoint_text(to, trace.place);
    trace_set_program(&trace, *self.name ? self.name : "-");
    write_trace(&trace);
}

/* access(2) asks for the real user, and without the capabilities that exec takes from whoever is not root. */
static enum trace_event kind_of_exec(char *const *env)
{
    const char *file = env_find(env, TRACE_VARIABLE);

    if (config_is_off(env_find(env, "HOLDFAST")))
        return TRACE_off;
    if (file && access(file, W_OK) != 0)
        return errno == EACCES ? TRACE_user : TRACE_away;
    return env_preload(env).variable ? TRACE_exec : TRACE_bare;
}

void tracing_exec(const char *path, char *const *env)
{
    int saved = errno;

    if (tracing_on() && strlen(path) < TRACE_PROGRAM)
        write_program(kind_of_exec(env), path);
    errno = saved;
}
