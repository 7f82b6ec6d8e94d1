/* SPDX-License-Identifier: ISC */
/* The lines of a head, and the values of fields, one function at a time. */
#include "play.h"

#include "http/field.h"
#include "http/head.h"

struct line_row {
    struct slice line;
    enum head_result result;
    const char *name, *value;
    bool lenient;
};

static const struct line_row lines[] = {
    { S("A: b\r\n"), HEAD_DONE, "A", "b", false },
    { S("A:\r\n"), HEAD_DONE, "A", "", false },
    { S("A: \t \r\n"), HEAD_DONE, "A", "", false },
    { S("!#$%&'*+-.^_`|~09azAZ:\tx\ty \r\n"), HEAD_DONE, "!#$%&'*+-.^_`|~09azAZ", "x\ty", false },
    { S("A: b:c\n"), HEAD_DONE, "A", "b:c", true },
    { S("A: 0123456789\t0123456789\xff\x80\x7f\x01 0123456789\r\n"), HEAD_DONE, "A",
      "0123456789\t0123456789\xff\x80\x7f\x01 0123456789", false },
    { S("\r\n"), HEAD_DONE, "", NULL, false },
    { S("\n"), HEAD_DONE, "", NULL, true },
    { S(""), HEAD_MORE, NULL, NULL, false },
    { S("A"), HEAD_MORE, NULL, NULL, false },
    { S("A: b"), HEAD_MORE, NULL, NULL, false },
    { S("A: b\r"), HEAD_MORE, NULL, NULL, false },
    { S("A : b"), HEAD_MORE, NULL, NULL, false },
    { S("A : b\n"), HEAD_BAD, NULL, NULL, false },
    { S(" A: b\r\n"), HEAD_BAD, NULL, NULL, false },
    { S(": b\r\n"), HEAD_BAD, NULL, NULL, false },
    { S("A\r\n"), HEAD_BAD, NULL, NULL, false },
    { S("A: b\rc\r\n"), HEAD_BAD, NULL, NULL, false },
    { S("A: b\r\r\n"), HEAD_BAD, NULL, NULL, false },
    { S("A: 0123456\0\r\n"), HEAD_BAD, NULL, NULL, false },
    { S("A\x80: b\r\n"), HEAD_BAD, NULL, NULL, false },
    { S("(A): b\r\n"), HEAD_BAD, NULL, NULL, false },
    { S("\rA: b\r\n"), HEAD_BAD, NULL, NULL, false },
};

static bool text_is(struct slice s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

static void field_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const struct line_row *row = &lines[i];
        const char *at = guard_put(row->line.data, row->line.len, 0), *end = at + row->line.len;
        struct head_field field;
        bool lenient = false;

        assert_int_equal(head_field(at, end, &field, &lenient), row->result);
        assert_int_equal(lenient, row->lenient);
        if (row->result != HEAD_DONE)
            continue;
        assert_true(text_is(field.name, row->name));
        assert_true(!row->value || text_is(head_trim(field.value), row->value));
        assert_ptr_equal(field.next, end);
        for (size_t len = 0; len < row->line.len; len++) {
            at = guard_put(row->line.data, len, 0);
            assert_int_equal(head_field(at, at + len, &field, &lenient), HEAD_MORE);
        }
    }
}

/* A stop at each distance from the start, with everything before it that does not stop. */
static void text_ends_anywhere(void **state)
{
    char line[64] = "A:";

    (void)state;
    for (size_t n = 0; n < 40; n++)
        for (int fill = 1; fill < 256; fill++) {
            struct head_field field;
            bool lenient = false;
            const char *at;

            if (fill == '\r' || fill == '\n')
                continue;
            memset(line + 2, fill, n);
            memcpy(line + 2 + n, "\r\n", 2);
            at = guard_put(line, n + 4, 0);
            assert_int_equal(head_field(at, at + n + 4, &field, &lenient), HEAD_DONE);
            assert_int_equal(head_trim(field.value).len, fill == ' ' || fill == '\t' ? 0 : n);
        }
}

static enum head_result status_of(const char *text, struct head_status *status)
{
    size_t len = strlen(text);
    const char *at = guard_put(text, len, 0);
    bool lenient = false;

    return head_status(at, at + len, status, &lenient);
}

static void status_lines(void **state)
{
    struct head_status s;

    (void)state;
    assert_int_equal(status_of("HTTP/1.0 404 Not Found\r\n", &s), HEAD_DONE);
    assert_true(s.code == 404 && s.minor == 0);
    assert_int_equal(status_of("HTTP/1.9 999\r\n", &s), HEAD_DONE);
    assert_true(s.code == 999 && s.minor == 1);
    assert_int_equal(status_of("HTTP/1.1 200 OK", &s), HEAD_MORE);
    assert_int_equal(status_of("HTT", &s), HEAD_MORE);
    assert_int_equal(status_of("HTX", &s), HEAD_BAD);
    assert_true(s.foreign);
    assert_int_equal(status_of("HTTP/1.1 20x OK\r\n", &s), HEAD_BAD);
    assert_false(s.foreign);
    assert_int_equal(status_of("HTTP/1.1 2\r\n", &s), HEAD_BAD);
    assert_int_equal(status_of("HTTP/1.1\r\n", &s), HEAD_BAD);
    assert_int_equal(status_of("HTTP/1.1 200OK\r\n", &s), HEAD_BAD);
}

static void rechecks(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n";
    size_t len = sizeof(head) - 1;

    (void)state;
    for (size_t seen = 17; seen < len; seen++)
        for (size_t now = seen; now <= len; now++)
            assert_int_equal(head_recheck(guard_put(head, now, 0), now, seen, false), now == len);
    assert_true(head_recheck("S\r\nA: b\nC", 9, 4, true));
    assert_false(head_recheck("S\r\nA: b\nC", 9, 4, false));
    assert_true(head_recheck("S\r\nA : b\nC", 10, 4, false));
    assert_true(head_recheck("S\r\nA: b", 7, 2, false));
}

static enum field_id id_of(const char *name)
{
    return field_identify((struct slice){ guard_put(name, strlen(name), 0), strlen(name) });
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(id_of("Connection"), FIELD_CONNECTION);
    assert_int_equal(id_of("KEEP-ALIVE"), FIELD_KEEP_ALIVE);
    assert_int_equal(id_of("te"), FIELD_TE);
    assert_int_equal(id_of("Host"), FIELD_HOST);
    assert_int_equal(id_of("cookie"), FIELD_COOKIE);
    assert_int_equal(id_of("Expect"), FIELD_EXPECT);
    assert_int_equal(id_of("Range"), FIELD_RANGE);
    assert_int_equal(id_of("Trailer"), FIELD_TRAILER);
    assert_int_equal(id_of("trailerS"), FIELD_TRAILERS);
    assert_int_equal(id_of("Upgrade"), FIELD_UPGRADE);
    assert_int_equal(id_of("Authorization"), FIELD_AUTHORIZATION);
    assert_int_equal(id_of("Content-Length"), FIELD_CONTENT_LENGTH);
    assert_int_equal(id_of("Proxy-Connection"), FIELD_PROXY_CONNECTION);
    assert_int_equal(id_of("WWW-Authenticate"), FIELD_WWW_AUTHENTICATE);
    assert_int_equal(id_of("Transfer-Encoding"), FIELD_TRANSFER_ENCODING);
    assert_int_equal(id_of("Proxy-Authenticate"), FIELD_PROXY_AUTHENTICATE);
    assert_int_equal(id_of("Proxy-Authorization"), FIELD_PROXY_AUTHORIZATION);
    assert_int_equal(id_of(""), FIELD_OTHER);
    assert_int_equal(id_of("Content-Lengti"), FIELD_OTHER);
    assert_int_equal(id_of("a-name-that-is-longer-than-any"), FIELD_OTHER);
}

static void keep_alive_values(void **state)
{
    static const struct {
        struct slice value;
        int timeout, max;
    } rows[] = {
        { S("timeout=5, max=100"), 5, 100 },
        { S("max=100,timeout=5"), 5, 100 },
        { S("TIMEOUT = \"5\"; Max=7"), 5, 7 },
        { S("timeout=5 max=7"), 5, 7 },
        { S("timeout=9, timeout=5"), 5, -1 },
        { S("timeout=99999999999999999999"), INT32_MAX, -1 },
        { S("xtimeout=5, maxx=1"), -1, -1 },
        { S("timeout=-5, max=+1"), -1, -1 },
        { S("timeout=5s"), -1, -1 },
        { S("timeout="), -1, -1 },
        { S("300"), -1, -1 },
        { S(""), -1, -1 },
        { S("=5"), -1, -1 },
        { S("timeout=\"5"), 5, -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int timeout = -1, max = -1;
        size_t len = rows[i].value.len;

        field_keep_alive((struct slice){ guard_put(rows[i].value.data, len, 0), len }, &timeout, &max);
        assert_int_equal(timeout, rows[i].timeout);
        assert_int_equal(max, rows[i].max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_lines),  cmocka_unit_test(text_ends_anywhere),
        cmocka_unit_test(status_lines), cmocka_unit_test(rechecks),
        cmocka_unit_test(names),        cmocka_unit_test(keep_alive_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
