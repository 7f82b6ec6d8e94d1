/* SPDX-License-Identifier: ISC */
/* The first bytes of a response on a reused connection: whole, and cut at every byte. */
#include "play.h"

#include "http/opening.h"

struct opening_row {
    struct slice bytes;
    enum opening whole;
    size_t known_at; /* how many bytes it takes to know */
    bool head_method;
};

#define CLOSE "Connection: close\r\n"
#define CL "Content-Length: 2\r\n"
#define ROW(text, result, at) { S(text), OPENING_##result, at, false }

static const struct opening_row rows[] = {
    ROW("HTTP/1.1 200 OK\r\n", ANSWER, 12),
    ROW("HTTP/1.0 404 no\r\n", ANSWER, 12),
    ROW("HTTP/1.1 100 Continue\r\n", ANSWER, 12),
    ROW("HTTP/1.1 40", MORE, 0),
    ROW("HTTP/1.1  408 x\r\n", ANSWER, 12),
    ROW("HTTP/1.x 408 x\r\n\r\n", ANSWER, 16),
    ROW("HTTP/1.1 4o8 x\r\n", ANSWER, 12),
    ROW("H", MORE, 0),
    ROW("HTTP/1.", MORE, 0),
    ROW("HTTP/2 200\r\n", FOREIGN, 6),
    ROW("http/1.1 200 OK\r\n", FOREIGN, 1),
    ROW("<html>late</html>", FOREIGN, 1),
    ROW("\r\nHTTP/1.1 200 OK\r\n", FOREIGN, 1),
    ROW("HTML", FOREIGN, 3),
    ROW("HTTP/1.1 408 x\r\n\r\n", DOUBTFUL, 18),
    ROW("HTTP/1.1 421 x\r\n" CL "\r\nab", DOUBTFUL, 37),
    ROW("HTTP/1.1 505 x\r\nA: b\r\n\r\n", DOUBTFUL, 24),
    ROW("HTTP/1.1 505 x\r\nA b\r\n\r\n", ANSWER, 21),
    ROW("HTTP/1.1 400 x\r\n" CL "\r\nab", ANSWER, 37),
    ROW("HTTP/1.1 400 x\r\n" CL CLOSE "\r\nab", DOUBTFUL, 56),
    ROW("HTTP/1.1 405 x\r\n" CL CLOSE "\r\nab", DOUBTFUL, 56),
    ROW("HTTP/1.1 501 x\r\n\r\nab", DOUBTFUL, 18),
    ROW("HTTP/1.0 501 x\r\n" CL "\r\nab", DOUBTFUL, 37),
    ROW("HTTP/1.0 501 x\r\nConnection: keep-alive\r\n" CL "\r\nab", ANSWER, 61),
    ROW("HTTP/1.1 403 x\r\n" CL CLOSE "\r\nab", ANSWER, 12),
    { S("HTTP/1.1 400 x\r\n\r\n"), OPENING_ANSWER, 18, true },
    { S("HTTP/1.1 400 x\r\n" CLOSE "\r\n"), OPENING_DOUBTFUL, 37, true },
};

static void openings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct opening_row *row = &rows[i];

        for (size_t len = 1; len <= row->bytes.len; len++) {
            unsigned status = 0;
            const char *at = guard_put(row->bytes.data, len, 0);
            enum opening got = opening_read(at, len, row->head_method, &status);

            assert_int_equal(got, row->known_at && len >= row->known_at ? row->whole : OPENING_MORE);
            if (got == OPENING_DOUBTFUL)
                assert_int_equal(status, opening_status(row->bytes.data, row->bytes.len));
        }
    }
}

/* A head that never ends is what it is. */
static void endless(void **state)
{
    static char bytes[EXCHANGE_HEAD_MAX + 1];
    unsigned status;

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "HTTP/1.1 400 ", 13);
    assert_int_equal(opening_read(bytes, EXCHANGE_HEAD_MAX - 1, false, &status), OPENING_MORE);
    assert_int_equal(opening_read(bytes, EXCHANGE_HEAD_MAX, false, &status), OPENING_ANSWER);
    assert_int_equal(opening_read(bytes, EXCHANGE_HEAD_MAX + 1, false, &status), OPENING_ANSWER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openings),
        cmocka_unit_test(endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
