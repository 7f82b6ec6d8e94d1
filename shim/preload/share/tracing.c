#define _GNU_SOURCE
#include "preload/share/tracing.h"

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
#include <unistd.h>

enum { LINES_MOST = 200000 };

int tracing_fd = -1;
static atomic_uint lines;

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
        if (n < 0 && ours)
            tracing_fd = -1;
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

    if (fd < 0)
        return;
    tracing_fd = private_move(fd);
    if (tracing_fd < 0)
        real.close(fd);
    else
        write_program(left_alone ? TRACE_left : TRACE_start, self.name);
}

void tracing_write(const struct endpoint *to, enum trace_event event, enum reason why)
{
    struct trace trace = { .event = event, .reason = why };

    if (to->port)
        endpoint_text(to, trace.place);
    trace_set_program(&trace, *self.name ? self.name : "-");
    write_trace(&trace);
}

void tracing_exec(const char *path, char *const *env)
{
    if (tracing_on() && strlen(path) < TRACE_PROGRAM)
        write_program(env_preload(env).variable ? TRACE_exec : TRACE_bare, path);
}
