/* SPDX-License-Identifier: ISC */
/* reason, stats and log: the words and lines that people and programs read. */
#define _GNU_SOURCE
#include "base/log.h"
#include "base/reason.h"
#include "base/stats.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void test_reason(void **state)
{
    for (int i = REASON_none; i < REASON_count; i++) {
        assert_non_null(reason_name((enum reason)i));
        assert_int_equal(reason_sentence((enum reason)i)[0] == '\0', i == REASON_none);
        for (int j = REASON_none; j < i; j++)
            assert_string_not_equal(reason_name((enum reason)i), reason_name((enum reason)j));
    }
    assert_string_equal(reason_name(REASON_stale), "stale");
    assert_string_equal(reason_sentence(REASON_tls), "TLS");
    assert_string_equal(reason_name(REASON_none), "none");
    assert_string_equal(reason_name(REASON_count), "none");
    assert_string_equal(reason_sentence(REASON_count), "");
    assert_string_equal(reason_name((enum reason)-1), "none");
    assert_string_equal(reason_sentence((enum reason)1000000), "");
}

static const char zero_counters[] =
    "\"requests\":0,\"connects\":0,\"leased\":0,\"fresh\":0,\"parked\":0,\"adapted\":0,\"opaque\":0,\"replayed\":0,"
    "\"shared_taken\":0,\"shared_given\":0";

static void assert_command(const char *command, const char *escaped)
{
    char expected[600], got[600];
    size_t len;

    stats_reset();
    snprintf(expected, sizeof(expected), "{\"pid\":7,\"command\":\"%s\",%s,\"reasons\":{}}\n", escaped,
             zero_counters);
    len = stats_format(got, sizeof(got), 7, command);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(got, expected, len);
}

static void test_stats_escapes(void **state)
{
    assert_command("curl", "curl");
    assert_command("", "");
    assert_command("a\"b\\c", "a\\\"b\\\\c");
    assert_command("a\nb\tc\x01\x1f\x7f", "a\\u000ab\\u0009c\\u0001\\u001f\\u007f");
    assert_command("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_command("\xff", "\\ufffd");
    assert_command("\xc3", "\\ufffd");                /* cut short */
    assert_command("\xc0\xaf", "\\ufffd\\ufffd");     /* overlong */
    assert_command("\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"); /* a surrogate */
    assert_command("\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"); /* beyond U+10FFFF */
    assert_command("\xe2\x82", "\\ufffd\\ufffd");
}

static void test_stats_counts(void **state)
{
    static const char expected[] =
        "{\"pid\":123456,\"command\":\"x\",\"requests\":2,\"connects\":0,\"leased\":0,\"fresh\":0,\"parked\":1,"
        "\"adapted\":0,\"opaque\":0,\"replayed\":0,\"shared_taken\":0,\"shared_given\":0,\"reasons\":{\"pool_empty\":1,\"stale\":2,\"replayed\":1}}\n";
    char got[512];

    stats_reset();
    stats_count(requests);
    stats_count(requests);
    stats_count(parked);
    stats_reason(REASON_stale);
    stats_reason(REASON_replayed);
    stats_reason(REASON_stale);
    stats_reason(REASON_pool_empty);
    stats_reason(REASON_none); /* counted, never shown */
    stats_reason(REASON_count);
    stats_reason((enum reason)-1);
    assert_int_equal(stats_format(got, sizeof(got), 123456, "x"), sizeof(expected) - 1);
    assert_memory_equal(got, expected, sizeof(expected) - 1);
    stats_reset();
    assert_command("x", "x");
}

/* Whatever the room: all of it or nothing, and not a byte beyond (the sanitizer looks). */
static void test_stats_room(void **state)
{
    char whole[512];
    size_t len;

    stats_reset();
    stats_reason(REASON_tls);
    len = stats_format(whole, sizeof(whole), 1, "a\"\xc3\xbc\xff\n");
    assert_int_not_equal(len, 0);
    for (size_t cap = 0; cap <= len + 1; cap++) {
        char *room = malloc(cap ? cap : 1);

        assert_int_equal(stats_format(room, cap, 1, "a\"\xc3\xbc\xff\n"), cap < len ? 0 : len);
        if (cap >= len)
            assert_memory_equal(room, whole, len);
        free(room);
    }
}

static char written[4096];
static size_t written_len;
static unsigned writes;

static ssize_t fake_write(int fd, const void *bytes, size_t len)
{
    assert_int_equal(fd, 77);
    assert_in_range(len, 1, sizeof(written));
    memcpy(written, bytes, len);
    written_len = len;
    writes++;
    errno = EIO;
    return -1;
}

/* The text behind the time, the program's name and the process. */
static const char *logged_text(void)
{
    char program[64];
    long pid;
    int text = 0;

    written[written_len] = '\0';
    assert_int_equal(sscanf(written, "%*4u-%*2u-%*2uT%*2u:%*2u:%*2u.%*6uZ %63[^[][%ld] %n", program, &pid, &text), 2);
    assert_int_equal(pid, getpid());
    assert_int_equal(strchr(written, ' ') - written, LOG_TIME - 1);
    assert_string_equal(program, "a name?");
    return written + text;
}

/* Each day up to the year 2400, as libc has it. */
static void test_log_time(void **state)
{
    for (time_t day = 0; day < (time_t)(sizeof(time_t) > 4 ? 157000 : 24000); day++) {
        const struct timespec at = { .tv_sec = day * 86400 + day % 86400, .tv_nsec = day % 1000 * 1000999 };
        char wanted[64], got[LOG_TIME];
        struct tm tm;

        gmtime_r(&at.tv_sec, &tm);
        size_t len = strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(wanted + len, sizeof wanted - len, ".%06ldZ", at.tv_nsec / 1000);
        log_time(&at, got);
        assert_string_equal(got, wanted);
    }
}

static void test_log_line(void **state)
{
    writes = 0;
    log_printf("nobody listens");
    assert_false(log_on());
    log_start(77, fake_write, "a name\n");
    assert_true(log_on());
    errno = ENOENT;
    log_printf("%s:%d %m", "host", 80);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(writes, 1);
    assert_string_equal(logged_text(), "host:80 No such file or directory\n");
    log_printf("forged\nline\r%s\x7f", "\x1b[2J");
    assert_string_equal(logged_text(), "forged?line??[2J?\n");
    log_printf("%s", "");
    assert_int_equal(writes, 3);
    log_start(-1, fake_write, "");
    log_printf("nobody listens");
    assert_int_equal(writes, 3);
}

static void test_log_cut(void **state)
{
    char text[3000];

    log_start(77, fake_write, "a name\n");
    for (size_t len = 900; len < sizeof(text); len += len < 1100 ? 1 : 300) {
        size_t whole;

        memset(text, 'x', len);
        text[len] = '\0';
        writes = 0;
        log_printf("%s", text);
        assert_int_equal(writes, 1);
        assert_in_range(written_len, 1, 1024);
        assert_int_equal(written[written_len - 1], '\n');
        whole = (size_t)(logged_text() - written) + len + 1;
        assert_int_equal(written_len, whole < 1024 ? whole : 1024);
    }
    log_start(-1, fake_write, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reason),       cmocka_unit_test(test_stats_escapes),
        cmocka_unit_test(test_stats_counts), cmocka_unit_test(test_stats_room),
        cmocka_unit_test(test_log_time),     cmocka_unit_test(test_log_line),
        cmocka_unit_test(test_log_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
