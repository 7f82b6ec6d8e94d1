/* SPDX-License-Identifier: ISC */
#include "base/trace.h"

#include "base/slice.h"

#include <stdio.h>

#define MAGIC "holdfast-trace-1"

static const char *const events[] = {
#define X(name) #name,
    TRACE_EVENTS(X)
#undef X
};

static bool is_printable(char c)
{
    return c >= ' ' && c < 0x7f;
}

void trace_set_program(struct trace *trace, const char *program)
{
    size_t len = 0;

    for (; len < TRACE_PROGRAM - 1 && program[len]; len++)
        trace->program[len] = is_printable(program[len]) ? program[len] : '?';
    trace->program[len] = '\0';
}

size_t trace_format(const struct trace *trace, char out[TRACE_LINE])
{
    int len = snprintf(out, TRACE_LINE, MAGIC " %s %s %ld %s %s", events[trace->event],
                       reason_name(trace->reason), trace->pid, *trace->place ? trace->place : "-", trace->program);

    if (len < 0)
        return 0;
    out[len] = '\n'; /* in the place of the NUL: the parts are shorter than a line */
    return (size_t)len + 1;
}

/* The next word; empty where there is none. */
static struct slice word(struct slice *rest)
{
    const char *blank = memchr(rest->data, ' ', rest->len);
    struct slice found = { rest->data, blank ? (size_t)(blank - rest->data) : rest->len };

    rest->data += found.len + (blank != NULL);
    rest->len -= found.len + (blank != NULL);
    return found;
}

static bool is(struct slice found, const char *wanted)
{
    return slice_equal(found, (struct slice){ wanted, strlen(wanted) });
}

static bool parse_event(struct slice name, enum trace_event *event)
{
    for (unsigned i = 0; i < TRACE_COUNT; i++)
        if (is(name, events[i])) {
            *event = (enum trace_event)i;
            return true;
        }
    return false;
}

static bool parse_reason(struct slice name, enum reason *reason)
{
    for (unsigned i = REASON_none; i < REASON_count; i++)
        if (is(name, reason_name((enum reason)i))) {
            *reason = (enum reason)i;
            return true;
        }
    return false;
}

static bool parse_pid(struct slice digits, long *pid)
{
    *pid = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        *pid = *pid * 10 + (digits.data[i] - '0');
    }
    return digits.len > 0 && digits.len < 10;
}

static bool copy_printable(char *to, size_t cap, struct slice from)
{
    if (from.len == 0 || from.len >= cap)
        return false;
    for (size_t i = 0; i < from.len; i++) {
        if (!is_printable(from.data[i]))
            return false;
        to[i] = from.data[i];
    }
    to[from.len] = '\0';
    return true;
}

bool trace_parse(const char *line, size_t len, struct trace *trace)
{
    struct slice rest = { line, len };

    if (!is(word(&rest), MAGIC) || !parse_event(word(&rest), &trace->event) ||
        !parse_reason(word(&rest), &trace->reason) || !parse_pid(word(&rest), &trace->pid))
        return false;
    return copy_printable(trace->place, sizeof trace->place, word(&rest)) &&
           copy_printable(trace->program, sizeof trace->program, rest);
}
