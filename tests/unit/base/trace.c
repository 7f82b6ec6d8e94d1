/* SPDX-License-Identifier: ISC */
/* trace: what is written is read back; what somebody else writes is not believed. */
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An exact copy, so that AddressSanitizer sees a read behind its end. */
static bool parses(const char *line, size_t len, struct trace *trace)
{
    char *copy = malloc(len ? len : 1);

    memcpy(copy, line, len);
    bool parsed = trace_parse(copy, len, trace);
    free(copy);
    return parsed;
}

static void test_round_trip(void **state)
{
    for (unsigned event = 0; event < TRACE_COUNT; event++)
        for (unsigned reason = 0; reason < REASON_count; reason++) {
            struct trace in = { .event = (enum trace_event)event, .reason = (enum reason)reason, .pid = 4711 }, out;
            char line[TRACE_LINE];

            strcpy(in.place, "[2001:db8::1]:8080");
            trace_set_program(&in, "a program");
            size_t len = trace_format(&in, line);
            assert_in_range(len, 1, TRACE_LINE);
            assert_int_equal(line[len - 1], '\n');
            assert_true(parses(line, len - 1, &out));
            assert_int_equal(out.event, event);
            assert_int_equal(out.reason, reason);
            assert_int_equal(out.pid, 4711);
            assert_string_equal(out.place, in.place);
            assert_string_equal(out.program, "a program");
        }
}

/* However long its parts are, a line has an end, and only one. */
static void test_bounds(void **state)
{
    struct trace in = { .event = TRACE_observed, .reason = REASON_ambiguous_response, .pid = 999999999 }, out;
    char name[2 * TRACE_PROGRAM], line[TRACE_LINE];

    memset(in.place, 'p', TRACE_PLACE - 1);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    trace_set_program(&in, name);
    assert_int_equal(strlen(in.program), TRACE_PROGRAM - 1);
    size_t len = trace_format(&in, line);
    assert_in_range(len, 1, TRACE_LINE);
    assert_ptr_equal(memchr(line, '\n', len), line + len - 1);
    assert_true(parses(line, len - 1, &out));
    assert_string_equal(out.program, in.program);
}

static void test_forged(void **state)
{
    struct trace in = { .event = TRACE_start, .pid = 1 }, out;
    char line[TRACE_LINE];

    trace_set_program(&in, "x\nholdfast-trace-1 open none 1 1.1.1.1:1 x\033[2J\x80\xff\x7f");
    size_t len = trace_format(&in, line);
    assert_ptr_equal(memchr(line, '\n', len), line + len - 1);
    for (size_t i = 0; i + 1 < len; i++)
        assert_in_range(line[i], ' ', '~');
    assert_true(parses(line, len - 1, &out));
    assert_int_equal(out.event, TRACE_start);
    assert_string_equal(out.place, "-");
}

static void test_not_ours(void **state)
{
    static const char *const bad[] = {
        "",
        "holdfast-trace-1",
        "holdfast-trace-2 open none 1 - x",
        "holdfast-trace-1 open none 1 -",
        "holdfast-trace-1 open none 1 - ",
        "holdfast-trace-1 open none 1  x",
        "holdfast-trace-1 opens none 1 - x",
        "holdfast-trace-1 open noone 1 - x",
        "holdfast-trace-1 open none -1 - x",
        "holdfast-trace-1 open none 1234567890123 - x",
        "holdfast-trace-1 open none 1 - x\ty",
        "holdfast-trace-1 open none 1 \033 x",
        " holdfast-trace-1 open none 1 - x",
        "holdfast-trace-1  open none 1 - x",
        "holdfast-trace-1 open none 1 0123456789012345678901234567890123456789012345678901234567890123 x",
    };
    static const char good[] = "holdfast-trace-1 open none 1 - x";
    struct trace out;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parses(bad[i], strlen(bad[i]), &out))
            fail_msg("taken: %s", bad[i]);
    for (size_t len = 0; len < sizeof(good) - 1; len++)
        assert_false(parses(good, len, &out));
    assert_true(parses(good, sizeof(good) - 1, &out));
    assert_true(parses("holdfast-trace-1 open none 1 - a b", 34, &out));
    assert_string_equal(out.program, "a b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_not_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
