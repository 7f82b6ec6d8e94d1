/* SPDX-License-Identifier: ISC */
/* The end of a body: whole, byte by byte and split at every offset, followed and decoded. */
#include "play.h"

#include "http/framing.h"

struct framing_row {
    struct slice input;
    enum framing_result result;
    size_t used;
    const char *data;
    bool lenient;
};

static const struct framing_row rows[] = {
    { S("0\r\n\r\n"), FRAMING_DONE, 5, "", false },
    { S("0\r\n\r\nrest"), FRAMING_DONE, 5, "", false },
    { S("1\r\na\r\n0\r\n\r\n"), FRAMING_DONE, 11, "a", false },
    { S("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n"), FRAMING_DONE, 36, "01234567890123456789a",
      false },
    { S("0000000000000000000000001\r\na\r\n0\r\n\r\n"), FRAMING_DONE, 35, "a", false },
    { S("1;x=\"y\"\r\na\r\n0;z\r\n\r\n"), FRAMING_DONE, 19, "a", false },
    { S("1 ;x\r\na\r\n0\r\n\r\n"), FRAMING_DONE, 14, "a", true },
    { S("1\t\r\na\r\n0\r\n\r\n"), FRAMING_DONE, 12, "a", true },
    { S("1\na\r\n0\r\n\r\n"), FRAMING_DONE, 10, "a", true },
    { S("1;x\na\r\n0\r\n\r\n"), FRAMING_DONE, 12, "a", true },
    { S("1\r\na\n0\r\n\r\n"), FRAMING_DONE, 10, "a", true },
    { S("0\n\n"), FRAMING_DONE, 3, "", true },
    { S("0\r\nA: b\r\nC: d\r\n\r\nx"), FRAMING_DONE, 17, "", false },
    { S("0\r\nA: b\n\n"), FRAMING_DONE, 9, "", true },
    { S("0\r\nA: b\r\n c\r\n\r\n"), FRAMING_DONE, 15, "", true },
    { S("0\r\nA\r\n\r\n"), FRAMING_DONE, 8, "", true },
    { S("0\r\nA : b\r\n\r\n"), FRAMING_DONE, 12, "", true },
    { S("0\r\n: b\r\n\r\n"), FRAMING_DONE, 10, "", true },
    { S("0\r\nA: b\r\ncontent-LENGTH:\r\n\r\n"), FRAMING_DONE, 28, "", true },
    { S("0\r\nTransfer-Encoding: x\r\n\r\n"), FRAMING_DONE, 27, "", true },
    { S("0\r\nContent-Lengt: 1\r\nTransfer-Encodings:\r\nA:content-length:\r\n\r\n"), FRAMING_DONE, 63, "",
      false },
    { S("0\r\nA:\r\nB-c: d e\"\r\n\r\n"), FRAMING_DONE, 20, "", false },
    { S("0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), FRAMING_DONE, 30, "", true },
    { S("1;x=\"\\\";\";y\r\na\r\n0;z=\"\\\\\"\r\n\r\n"), FRAMING_DONE, 28, "a", false },
    { S("1;x=\"y\r\na\r\n0\r\n\r\n"), FRAMING_DONE, 16, "a", true },
    { S("1;x=\"\\\"\r\na\r\n0\r\n\r\n"), FRAMING_DONE, 17, "a", true },
    { S("1;x=\"\\\r\na\r\n0\r\n\r\n"), FRAMING_DONE, 16, "a", true },
    { S("1;x=\"y\na\r\n0\r\n\r\n"), FRAMING_DONE, 15, "a", true },
    { S("1;\"\0"), FRAMING_BAD, 4, "", false },
    { S("1\r\na\r\n"), FRAMING_MORE, 6, "a", false },
    { S("5\r\nab"), FRAMING_MORE, 5, "ab", false },
    { S("0\r\nA: b\r\n"), FRAMING_MORE, 9, "", false },
    { S("\r\n"), FRAMING_BAD, 1, "", false },
    { S(";x\r\n"), FRAMING_BAD, 1, "", false },
    { S("g\r\n"), FRAMING_BAD, 1, "", false },
    { S("1g\r\n"), FRAMING_BAD, 2, "", false },
    { S("-1\r\n"), FRAMING_BAD, 1, "", false },
    { S("1 1\r\n"), FRAMING_BAD, 3, "", true },
    { S("1\rx"), FRAMING_BAD, 3, "", false },
    { S("1;\0\r\n"), FRAMING_BAD, 3, "", false },
    { S("1;\rx"), FRAMING_BAD, 4, "", false },
    { S("1\r\nab"), FRAMING_BAD, 5, "a", false },
    { S("1\r\na\rb"), FRAMING_BAD, 6, "a", false },
    { S("0\r\n\rx"), FRAMING_BAD, 5, "", false },
    { S("0\r\nA: b\rc"), FRAMING_BAD, 9, "", false },
    { S("0\r\nA\0"), FRAMING_BAD, 5, "", false },
    { S("7ffffffffffffff\r\na"), FRAMING_MORE, 18, "a", false },
    { S("10000000000000000\r\n"), FRAMING_BAD, 17, "", false },
    { S("fffffffffffffffff\r\n"), FRAMING_BAD, 16, "", false },
    { S("8000000000000000\r\na"), FRAMING_BAD, 16, "", false },
    { S("7fffffffffffffff\r\na"), FRAMING_MORE, 19, "a", false },
};

static enum framing_result run(struct framing *f, const struct framing_row *row, size_t first, size_t each,
                               bool decode, size_t *used, struct play_buffer *out)
{
    enum framing_result result = FRAMING_MORE;
    size_t at = 0, next = first;

    framing_start(f, FRAMING_CHUNKED, 0);
    out->len = 0;
    while (at < row->input.len && result == FRAMING_MORE) {
        size_t n = next < row->input.len - at ? next : row->input.len - at, took, got = 0;
        char *input = guard_put(row->input.data + at, n, 0);

        result = decode ? framing_decode(f, input, n, &took, &got) : framing_follow(f, input, n, &took);
        assert_true(got <= took && took <= n);
        play_append(out, input, got);
        at += took;
        next = each;
    }
    *used = at;
    return result;
}

static void check(const struct framing_row *row, size_t first, size_t each)
{
    static struct play_buffer out;

    for (int decode = 0; decode <= 1; decode++) {
        struct framing f;
        size_t used;

        assert_int_equal(run(&f, row, first, each, decode, &used, &out), row->result);
        assert_int_equal(used, row->used);
        assert_int_equal(f.lenient, row->lenient);
        assert_int_equal(out.len, decode ? strlen(row->data) : 0);
        assert_memory_equal(out.data, row->data, out.len);
    }
}

static void chunked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        seed_write(&rows[i].input, 1);
        check(&rows[i], 1, 1);
        for (size_t first = 1; first <= rows[i].input.len; first++)
            check(&rows[i], first, rows[i].input.len);
    }
}

static void simple(void **state)
{
    struct framing f;
    size_t used;

    (void)state;
    framing_start(&f, FRAMING_NONE, 0);
    assert_int_equal(framing_follow(&f, "abc", 3, &used), FRAMING_DONE);
    assert_int_equal(used, 0);
    framing_start(&f, FRAMING_LENGTH, 0);
    assert_int_equal(framing_follow(&f, "abc", 3, &used), FRAMING_DONE);
    assert_int_equal(used, 0);
    framing_start(&f, FRAMING_LENGTH, 4);
    assert_int_equal(framing_follow(&f, "abc", 3, &used), FRAMING_MORE);
    assert_int_equal(used, 3);
    assert_int_equal(f.left, 1);
    assert_int_equal(framing_follow(&f, "abc", 3, &used), FRAMING_DONE);
    assert_int_equal(used, 1);
    framing_start(&f, FRAMING_CLOSE, 0);
    assert_int_equal(framing_follow(&f, "abc", 3, &used), FRAMING_MORE);
    assert_int_equal(used, 3);
}

/* Neither extensions nor trailers go on for ever, nor does a size of nothing but zeros. */
static void bounded(void **state)
{
    static const char *const beginnings[] = { "0", "1;", "0\r\nA: ", "1 " };
    static const char fill[] = { '0', 'x', 'x', ' ' };
    static char junk[1 << 17];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct framing f;
        size_t used;

        framing_start(&f, FRAMING_CHUNKED, 0);
        assert_int_equal(framing_follow(&f, beginnings[i], strlen(beginnings[i]), &used), FRAMING_MORE);
        memset(junk, fill[i], sizeof(junk));
        assert_int_equal(framing_follow(&f, junk, 65536 - strlen(beginnings[i]), &used), FRAMING_MORE);
        assert_int_equal(framing_follow(&f, junk, sizeof(junk), &used), FRAMING_BAD);
        assert_int_equal(used, 1);
        assert_int_equal(framing_follow(&f, "\r\n", 2, &used), FRAMING_BAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked),
        cmocka_unit_test(simple),
        cmocka_unit_test(bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
