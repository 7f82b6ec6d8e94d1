/* SPDX-License-Identifier: ISC */
/* What comes from outside into settings, log, statistics and traces: a setting is taken or the default stays, a
 * log line is one line, and the statistics are one JSON object, whatever the program is called. */
#define _GNU_SOURCE
#include "base/config.h"
#include "base/filter.h"
#include "base/log.h"
#include "base/stats.h"
#include "base/trace.h"

#include "input.h"
#include "naive.h"

#include <ctype.h>
#include <errno.h>

static const char *variable, *variable_value;

static char *lookup(const char *name)
{
    return variable && strcmp(name, variable) == 0 ? (char *)(uintptr_t)variable_value : NULL;
}

static void refuse(void *arg, const struct config_setting *setting, const char *value)
{
    assert_string_equal(setting->name, variable);
    assert_ptr_equal(value, variable_value);
    ++*(int *)arg;
    struct slice fault = config_fault(setting, value);
    assert_true(fault.data >= value && fault.data + fault.len <= value + strlen(value));
}

static void in_range(const struct config *config)
{
    assert_true(config->idle_seconds >= 1 && config->idle_seconds <= 86400);
    assert_true(config->max_per_endpoint >= 1 && config->max_per_endpoint <= 65536);
    assert_true(config->unsafe == CONFIG_UNSAFE_FRESH || config->unsafe == CONFIG_UNSAFE_REUSE);
    assert_true(config->host == CONFIG_HOST_ADDRESS || config->host == CONFIG_HOST_NEVER);
}

/* What is taken is what it says. */
static void taken(const struct config *config, const char *value)
{
    unsigned number = strcmp(variable, "HOLDFAST_IDLE") == 0               ? config->idle_seconds
                      : strcmp(variable, "HOLDFAST_MAX_PER_ENDPOINT") == 0 ? config->max_per_endpoint
                                                                           : 0;

    if (number == 0)
        return;
    assert_int_equal(strspn(value, "0123456789"), strlen(value));
    assert_int_equal(strtoul(value, NULL, 10), number);
}

static void check_settings(const char *value)
{
    struct config plain, config;

    memset(&plain, 0, sizeof(plain));
    variable = NULL;
    assert_int_equal(config_load(&plain, lookup, NULL, NULL), 0);
    variable_value = value;
    for (size_t i = 0; i < config_settings_count; i++) {
        int refused = 0, count;

        variable = config_settings[i].name;
        memset(&config, 0, sizeof(config));
        count = config_load(&config, lookup, refuse, &refused);
        assert_int_equal(count, refused);
        assert_true(refused <= 1);
        if (refused || !*value)
            assert_memory_equal(&config, &plain, sizeof(config));
        else
            taken(&config, value);
        in_range(&config);
    }
}

static char written[4096];
static size_t written_len;

static ssize_t keep_line(int fd, const void *bytes, size_t len)
{
    assert_int_equal(fd, 77);
    assert_in_range(len, 1, 1024);
    memcpy(written, bytes, len);
    written_len = len;
    errno = EIO;
    return -1;
}

static void check_log(const char *text)
{
    written_len = 0;
    log_start(77, keep_line, text);
    errno = ENOENT;
    log_printf("%s", text);
    assert_int_equal(errno, ENOENT);
    log_start(-1, keep_line, "");
    assert_true(written_len > 0 && written[written_len - 1] == '\n');
    for (size_t i = 0; i < written_len - 1; i++)
        assert_false(iscntrl((unsigned char)written[i]));
}

/* The end of a JSON string (8259 7) that begins at `at`, all of it UTF-8 without control characters. */
static const char *string_end(const char *at)
{
    for (; *at != '"'; at++) {
        if (*at == '\\' && *++at == 'u') {
            for (int i = 0; i < 4; i++)
                assert_true(isxdigit((unsigned char)*++at));
        } else {
            assert_true(at[-1] != '\\' || at[-2] == '\\' || strchr("\"\\", *at));
            assert_false(iscntrl((unsigned char)*at));
        }
    }
    return at;
}

/* 3629 3, by value instead of by ranges of bytes. */
static void check_utf8(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        unsigned more = *at < 0x80 ? 0 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;
        uint32_t least[] = { 0, 0x80, 0x800, 0x10000 }, value = *at & (more ? 0x3fu >> more : 0x7f);

        assert_true(more == 0 || (*at >= 0xc0 && *at < 0xf8));
        for (unsigned i = 1; i <= more; i++) {
            assert_true(at + i < end && (at[i] & 0xc0) == 0x80);
            value = value << 6 | (at[i] & 0x3f);
        }
        assert_true(value >= least[more] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff));
        at += 1 + more;
    }
}

static void check_stats(const char *command)
{
    static const char start[] = "{\"pid\":7,\"command\":\"", after[] = "\",\"requests\":0,";
    size_t cap = 6 * strlen(command) + 1024, len;
    char *out = malloc(cap), *small;
    const char *end;

    len = stats_format(out, cap - 1, 7, command);
    assert_in_range(len, 1, cap - 1);
    out[len] = '\0';
    assert_int_equal(strlen(out), len);
    assert_memory_equal(out, start, strlen(start));
    end = string_end(out + strlen(start));
    assert_memory_equal(end, after, strlen(after));
    assert_string_equal(out + len - 3, "}}\n");
    assert_null(memchr(out, '\n', len - 1));
    check_utf8((const unsigned char *)out, (const unsigned char *)out + len);
    small = malloc(len - 1);
    assert_int_equal(stats_format(small, len - 1, 7, command), 0);
    free(small);
    free(out);
}

/* A list that is taken says of each of its own elements that it is in it. */
static void check_filter(const char *text)
{
    static struct filter filter;
    struct slice bad;
    bool good = filter_check(text, &bad);

    assert_int_equal(filter_read(&filter, text), good);
    assert_true(good || filter.count == 0);
    for (unsigned i = 0; i < filter.count; i++) {
        const struct filter_rule *rule = &filter.rules[i];
        if (rule->name.len)
            assert_true(filter_has_name(&filter, rule->name));
        else
            assert_true(filter_has_address(&filter, rule->address, rule->port ? rule->port : 80));
    }
}

/* What is believed of a file that somebody else wrote can be written again; a name is always one line. */
static void check_trace(const char *text, size_t len)
{
    struct trace trace, again, named = { .event = TRACE_start, .pid = 1 };
    char line[TRACE_LINE];

    if (trace_parse(text, len, &trace)) {
        size_t n = trace_format(&trace, line);
        assert_in_range(n, 1, TRACE_LINE);
        assert_true(trace_parse(line, n - 1, &again));
        assert_string_equal(again.program, trace.program);
        assert_string_equal(again.place, trace.place);
    }
    trace_set_program(&named, *text ? text : "-");
    size_t n = trace_format(&named, line);
    assert_ptr_equal(memchr(line, '\n', n), line + n - 1);
    assert_true(trace_parse(line, n - 1, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);

    memcpy(text, data, len);
    text[len] = '\0';
    check_settings(text);
    check_log(text);
    check_stats(text);
    check_filter(text);
    check_trace(text, len);
    free(text);
    return 0;
}
