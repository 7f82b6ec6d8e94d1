/* SPDX-License-Identifier: ISC */
/* tree: the messages, field by field, and the text in the environment. */
#define _GNU_SOURCE
#include "pool/tree.h"
#include "pool/tree_message.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FIRST = 300, NOW = 5000000, IDLE_MS = 10000, DAY_MS = 86400000 };

static const struct tree_calls calls;

static struct endpoint endpoint_number(unsigned n)
{
    return (struct endpoint){ .family = AF_INET, .port = htons((uint16_t)(8000 + n)), .address = { 127, 0, 0, 1 },
                              .uid = 7, .netns = 3 };
}

static struct idle sample(int fd)
{
    return (struct idle){ .fd = fd, .proven = true, .nonblocking = true, .absolute = true, .requests = 3,
                          .max_left = 9, .idle_ms = IDLE_MS, .parked_ms = NOW - 10, .opened_ms = NOW - 900, .host = 11,
                          .proxy_auth = 12, .cookie = 13, .local.any.sa_family = AF_INET };
}

/* ---- messages ---- */

static int read_it(const struct tree_message *m, size_t len)
{
    struct endpoint to;
    struct idle idle;

    return tree_message_read(m, len, NOW, &to, &idle);
}

static struct tree_message written(void)
{
    struct endpoint to = endpoint_number(1);
    struct idle idle = sample(5);
    struct tree_message m;

    memset(&m, 0xa5, sizeof(m));
    tree_message_write(&m, &to, &idle);
    return m;
}

static void test_message_round_trip(void **state)
{
    struct tree_message m = written();
    struct endpoint to, wanted = endpoint_number(1);
    struct idle idle, was = sample(5);

    (void)state;
    assert_int_equal(tree_message_read(&m, sizeof(m), NOW, &to, &idle), 0);
    assert_true(endpoint_equal(&to, &wanted));
    assert_int_equal(idle.fd, -1);
    assert_true(idle.proven && idle.nonblocking && idle.absolute);
    assert_int_equal(idle.requests, was.requests);
    assert_int_equal(idle.max_left, was.max_left);
    assert_int_equal(idle.idle_ms, was.idle_ms);
    assert_int_equal(idle.parked_ms, was.parked_ms);
    assert_int_equal(idle.opened_ms, was.opened_ms);
    assert_int_equal(idle.host, was.host);
    assert_int_equal(idle.proxy_auth, was.proxy_auth);
    assert_int_equal(idle.cookie, was.cookie);
    assert_int_equal(idle.local.any.sa_family, AF_INET);
}

static void test_message_sizes(void **state)
{
    char room[2 * sizeof(struct tree_message)] = { 0 };
    struct tree_message m = written();

    (void)state;
    memcpy(room, &m, sizeof(m));
    for (size_t len = 0; len <= sizeof(room); len++)
        assert_int_equal(read_it((struct tree_message *)(void *)room, len), len == sizeof(m) ? 0 : -EBADMSG);
}

/* Each row changes one field of a message that is as it should be. */
#define ROWS(X)                                                                                        \
    X(magic = 0, -EBADMSG) X(magic = TREE_MESSAGE_MAGIC + 1, -EBADMSG)                                    \
    X(magic = TREE_MESSAGE_MAGIC ^ 1ull << 63, -EBADMSG)                                                  \
    X(size = 0, -EBADMSG) X(size = sizeof(struct tree_message) - 1, -EBADMSG)                             \
    X(size = sizeof(struct tree_message) + 1, -EBADMSG) X(size = UINT32_MAX, -EBADMSG)                    \
    X(idle_ms = 0, -EBADMSG) X(idle_ms = 1, 0) X(idle_ms = DAY_MS, 0)                                     \
    X(idle_ms = DAY_MS + 1, -EBADMSG) X(idle_ms = UINT32_MAX, -EBADMSG)                                   \
    X(to.family = 0, -EBADMSG) X(to.family = AF_UNIX, -EBADMSG) X(to.family = UINT16_MAX, -EBADMSG)       \
    X(to.port = 0, -EBADMSG) X(to.port = UINT16_MAX, 0)                                                   \
    X(to.uid = UINT32_MAX, 0) X(to.netns = 0, 0) X(to.options = UINT64_MAX, 0) X(to.scope = 1, 0)         \
    X(parked_ms = NOW, 0) X(parked_ms = NOW + 60000, -EBADMSG) X(parked_ms = UINT64_MAX, -EBADMSG)        \
    X(parked_ms = 0, -EBADMSG) /* before it was opened */                                                \
    X(opened_ms = 0, 0) X(opened_ms = NOW - 9, -EBADMSG) X(opened_ms = UINT64_MAX, -EBADMSG)              \
    X(host = 0, 0) X(host = UINT64_MAX, 0) X(proxy_auth = 0, 0) X(proxy_auth = UINT64_MAX, 0)             \
    X(cookie = 0, -EBADMSG) X(cookie = UINT64_MAX, 0)                                                     \
    X(max_left = -1, 0) X(max_left = 0, -EBADMSG) X(max_left = -2, -EBADMSG) X(max_left = 1, 0)           \
    X(max_left = INT32_MIN, -EBADMSG) X(max_left = INT32_MAX, 0)                                          \
    X(requests = 0, -EBADMSG) X(requests = 1, 0) X(requests = UINT16_MAX, 0)                              \
    X(flags = 0, -EBADMSG) X(flags = 5, -EBADMSG) X(flags = 2, 0) X(flags = 7, 0) X(flags = 8, -EBADMSG) X(flags = 0x80, -EBADMSG) X(flags = 0xff, -EBADMSG) \
    X(zero[0] = 1, -EBADMSG) X(zero[0] = 0xff, -EBADMSG)                                                  \
    X(local.ss_family = 0, 0) X(local.ss_family = AF_INET6, -EBADMSG) X(local.ss_family = AF_UNIX, -EBADMSG)

static void test_message_fields(void **state)
{
    unsigned rows = 0;

    (void)state;
#define X(change, result)                                                                     \
    {                                                                                         \
        struct tree_message m = written();                                                    \
        m.change;                                                                             \
        if (read_it(&m, sizeof(m)) != (result))                                               \
            fail_msg("%s: %d instead of %d", #change, read_it(&m, sizeof(m)), (int)(result)); \
        rows++;                                                                               \
    }
    ROWS(X)
#undef X
    assert_true(rows > 50);
}

/* ---- the text in the environment ---- */

static void test_text(void **state)
{
    struct tree t = { .first = FIRST, .token = "0123456789abcdef", .uid = 4294967294u, .most = TREE_MOST }, back;
    char text[TREE_TEXT];

    (void)state;
    tree_text(&t, text);
    assert_int_equal(strlen(text), TREE_TEXT - 1);
    assert_int_equal(tree_parse(&back, &calls, text), 0);
    assert_int_equal(back.first, t.first);
    assert_string_equal(back.token, t.token);
    assert_int_equal(back.uid, t.uid);
    assert_int_equal(back.most, t.most);
    assert_ptr_equal(back.calls, &calls);
}

static const char good_text[] = "01008-0123456789abcdef-0000001000-056";

static void test_text_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "01008",
        "01008-0123456789abcdef-0000001000",
        "01008-0123456789abcdef-0000001000-",
        "01008-0123456789abcdef-0000001000-0560",
        "1008-0123456789abcdef-0000001000-0056",
        "01008-0123456789ABCDEF-0000001000-056",
        "01008-0123456789abcdeg-0000001000-056",
        "01008-0123456789abcde/-0000001000-056",
        "01008-0123456789abcdef-4294967296-056",
        "01008-0123456789abcdef-9999999999-056",
        "01008-0123456789abcdef-000000100x-056",
        "01008-0123456789abcdef-+000001000-056",
        "0100x-0123456789abcdef-0000001000-056",
        "-1008-0123456789abcdef-0000001000-056",
        " 1008-0123456789abcdef-0000001000-056",
        "01008_0123456789abcdef-0000001000-056",
        "01008-0123456789abcdef_0000001000-056",
        "01008-0123456789abcdef-0000001000_056",
        "01008-0123456789abcdef-0000001000-000",
        "01008-0123456789abcdef-0000001000-05x",
    };
    struct tree t;

    (void)state;
    assert_int_equal(tree_parse(&t, &calls, good_text), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (tree_parse(&t, &calls, bad[i]) == 0)
            fail_msg("taken: %s", bad[i]);
}

/* Whatever one character becomes: refused, or the text is written so again. */
static void test_text_changed(void **state)
{
    char text[TREE_TEXT], back[TREE_TEXT];
    struct tree t;

    (void)state;
    for (size_t at = 0; at < TREE_TEXT - 1; at++)
        for (int c = 1; c < 256; c++) {
            memcpy(text, good_text, sizeof(text));
            text[at] = (char)c;
            if (tree_parse(&t, &calls, text) == 0) {
                tree_text(&t, back);
                assert_string_equal(back, text);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_round_trip), cmocka_unit_test(test_message_sizes),
        cmocka_unit_test(test_message_fields),     cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_refused),       cmocka_unit_test(test_text_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
