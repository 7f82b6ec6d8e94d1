/* SPDX-License-Identifier: ISC */
/* What looks at many bytes at a time finds what a look at each byte finds, wherever it lies. */
#include "play.h"

#include "http/field.h"
#include "http/head.h"
#include "http/scan.h"

#define LONGEST 49 /* three blocks and one byte */

static bool is_name(unsigned char c)
{
    return c == '-' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_host(unsigned char c)
{
    return is_name(c) || c == '.' || c == ':' || (c >= '0' && c <= '9');
}

static bool is_target(unsigned char c)
{
    return c > ' ' && c != 0x7f;
}

static bool is_text(unsigned char c)
{
    return c >= ' ';
}

struct kind {
    const char *(*scan)(const char *p, const char *end);
    bool (*holds)(unsigned char c);
};

static const struct kind kinds[] = {
    { scan_name, is_name },
    { scan_host, is_host },
    { scan_target, is_target },
    { scan_text, is_text },
};

/* Every byte at every place of a run of every length, with what would end the run behind it. */
static void runs_end(const struct kind *kind)
{
    char text[LONGEST];

    for (size_t len = 0; len <= LONGEST; len++)
        for (size_t place = 0; place < len; place++)
            for (unsigned c = 0; c < 256; c++) {
                const char *at;

                memset(text, 'm', len);
                memset(text + place, '\0', len - place);
                text[place] = (char)c;
                at = guard_put(text, len, 0);
                assert_int_equal(kind->scan(at, at + len) - at, place + kind->holds((unsigned char)c));
            }
    assert_ptr_equal(kind->scan(text, text), text);
}

static void runs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        runs_end(&kinds[i]);
}

static void runs_go_on_to_the_end(void **state)
{
    static char text[LONGEST];

    (void)state;
    memset(text, 'M', sizeof(text));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (size_t len = 0; len <= LONGEST; len++) {
            const char *at = guard_put(text, len, 0);

            assert_ptr_equal(kinds[i].scan(at, at + len), at + len);
        }
}

/* Any machine's way to get at the bits is the same. */
static void bits(void **state)
{
    (void)state;
    for (unsigned want = 0; want < 0x10000; want++) {
        unsigned char bytes[16];
        scan_block mask;

        for (int i = 0; i < 16; i++)
            bytes[i] = want >> i & 1 ? 0xff : 0;
        memcpy(&mask, bytes, sizeof(mask));
        assert_int_equal(scan_bits(mask), want);
        assert_int_equal(scan_bits_anywhere(mask), want);
    }
}

/* As head_field_inline reads it, and as head_field does. */
static void same_line(const char *line, size_t len)
{
    const char *at = guard_put(line, len, 0);
    struct head_field fast = { 0 }, slow = { 0 };
    bool fast_lenient = false, slow_lenient = false;
    enum head_result result = head_field_inline(at, at + len, &fast, &fast_lenient);

    assert_int_equal(result, head_field(at, at + len, &slow, &slow_lenient));
    assert_int_equal(fast_lenient, slow_lenient);
    if (result != HEAD_DONE)
        return;
    assert_ptr_equal(fast.name.data, slow.name.data);
    assert_int_equal(fast.name.len, slow.name.len);
    assert_ptr_equal(fast.next, slow.next);
    if (fast.name.len == 0)
        return;
    assert_ptr_equal(fast.value.data, slow.value.data);
    assert_int_equal(fast.value.len, slow.value.len);
}

static void lines(void **state)
{
    static const char *const some[] = {
        "A: b\r\n",
        "\r\nA: b\r\n",
        "A-Name-Of-Nineteen-: and a value that goes on and on\r\nB: c\r\n",
        "Sixteen-Letters-: fifteen letters\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
        for (size_t len = 1; len <= strlen(some[i]); len++)
            for (size_t place = 0; place < len; place++)
                for (unsigned c = 0; c < 256; c++) {
                    char line[80];

                    memcpy(line, some[i], len);
                    line[place] = (char)c;
                    same_line(line, len);
                }
}

static void words(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++)
        for (int shift = 0; shift < 64; shift += 8) {
            uint64_t others = 0x415a617a5b40ff80u & ~(UINT64_C(0xff) << shift);
            uint64_t word = others | (uint64_t)c << shift;
            unsigned char lower = (unsigned char)ascii_lower((char)c);

            assert_int_equal(slice_lower_word(word) >> shift & 0xff, lower);
            assert_int_equal(slice_lower_word(word) & ~(UINT64_C(0xff) << shift),
                             slice_lower_word(others) & ~(UINT64_C(0xff) << shift));
        }
}

/* A literal of each length, with one byte changed to every other, and with one more or less. */
#define LOWER(name, literal)                                                                                 \
    static bool name(struct slice s)                                                                         \
    {                                                                                                        \
        return slice_is_lower(s, literal);                                                                   \
    }
LOWER(reads_x, "x")
LOWER(reads_te, "te")
LOWER(reads_max, "max")
LOWER(reads_host, "host")
LOWER(reads_close, "close")
LOWER(reads_chunked, "chunked")
LOWER(reads_trailers, "trailers")
LOWER(reads_negotiate, "negotiate")
LOWER(reads_keep_alive, "keep-alive")
LOWER(reads_16, "proxy-connection")
LOWER(reads_17, "transfer-encoding")
LOWER(reads_24, "[transfer@`{-encodings-}")

static void literals(void **state)
{
    static const struct {
        const char *text;
        bool (*reads)(struct slice s);
    } rows[] = {
        { "x", reads_x },
        { "te", reads_te },
        { "max", reads_max },
        { "host", reads_host },
        { "close", reads_close },
        { "chunked", reads_chunked },
        { "trailers", reads_trailers },
        { "negotiate", reads_negotiate },
        { "keep-alive", reads_keep_alive },
        { "proxy-connection", reads_16 },
        { "transfer-encoding", reads_17 },
        { "[transfer@`{-encodings-}", reads_24 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].text);

        for (size_t place = 0; place < len; place++)
            for (unsigned c = 0; c < 256; c++) {
                char text[32];

                memcpy(text, rows[i].text, len + 1);
                text[place] = (char)c;
                assert_int_equal(rows[i].reads((struct slice){ guard_put(text, len, 0), len }),
                                 ascii_lower((char)c) == rows[i].text[place]);
            }
        assert_false(rows[i].reads((struct slice){ rows[i].text, len - 1 }));
        assert_false(rows[i].reads((struct slice){ rows[i].text, len + 1 }));
    }
}

static uint64_t hash_of(const char *text, size_t len)
{
    return field_hash((struct slice){ guard_put(text, len, 0), len });
}

static void hashes(void **state)
{
    char text[LONGEST + 1] = "";

    (void)state;
    for (size_t len = 1; len <= LONGEST; len++)
        for (size_t place = 0; place < len; place++)
            for (unsigned c = 0; c < 256; c++) {
                uint64_t plain;

                memset(text, 'q', len);
                plain = hash_of(text, len);
                text[place] = (char)c;
                assert_int_equal(hash_of(text, len) == plain, c == 'q' || c == 'Q');
            }
    memset(text, 'q', sizeof(text));
    for (size_t len = 0; len < LONGEST; len++)
        assert_true(hash_of(text, len) != 0 && hash_of(text, len) != hash_of(text, len + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs),   cmocka_unit_test(runs_go_on_to_the_end),
        cmocka_unit_test(bits),   cmocka_unit_test(lines),
        cmocka_unit_test(words),  cmocka_unit_test(literals),
        cmocka_unit_test(hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
