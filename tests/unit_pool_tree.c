/* tree: the messages, field by field; the text in the environment; and queues of the kernel's own, with
 * sockets that lead nowhere. */
#define _GNU_SOURCE
#include "pool/tree.h"
#include "pool/tree_message.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIRST = 300, NOW = 5000000, IDLE_MS = 1000, DAY_MS = 86400000 };

/* Under _GNU_SOURCE these take a union instead of a pointer. */
static int bind_plain(int fd, const struct sockaddr *name, socklen_t len)
{
    return bind(fd, name, len);
}

static int connect_plain(int fd, const struct sockaddr *name, socklen_t len)
{
    return connect(fd, name, len);
}

static int getsockname_plain(int fd, struct sockaddr *name, socklen_t *len)
{
    return getsockname(fd, name, len);
}

static const struct tree_calls calls = {
    .socket = socket, .bind = bind_plain, .connect = connect_plain, .getsockname = getsockname_plain,
    .getsockopt = getsockopt, .setsockopt = setsockopt, .sendmsg = sendmsg, .recvmsg = recvmsg,
    .recv = recv, .dup3 = dup3, .shutdown = shutdown, .close = close,
};

static struct endpoint endpoint_number(unsigned n)
{
    return (struct endpoint){ .family = AF_INET, .port = htons((uint16_t)(8000 + n)), .address = { 127, 0, 0, 1 },
                              .uid = 7, .netns = 3 };
}

static struct idle sample(int fd)
{
    return (struct idle){ .fd = fd, .proven = true, .nonblocking = true, .absolute = true, .requests = 3,
                          .max_left = 9, .idle_ms = IDLE_MS, .parked_ms = NOW - 10, .opened_ms = NOW - 900, .host = 11,
                          .proxy_auth = 12, .cookie = 13, .local.ss_family = AF_INET };
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
    assert_int_equal(idle.local.ss_family, AF_INET);
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
    X(flags = 0, 0) X(flags = 7, 0) X(flags = 8, -EBADMSG) X(flags = 0x80, -EBADMSG) X(flags = 0xff, -EBADMSG) \
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

/* ---- queues ---- */

static struct tree tree;

static int make_tree(void **state)
{
    (void)state;
    return tree_create(&tree, &calls, FIRST, TREE_MOST, 7);
}

static int unmake_tree(void **state)
{
    (void)state;
    for (int i = 0; i < TREE_QUEUES; i++)
        close(FIRST + i);
    return 0;
}

/* A socket whose other end stays open, in *far. */
static int open_socket(int *far)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    *far = pair[1];
    return pair[0];
}

static bool has_ended(int far)
{
    char byte;

    return recv(far, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Returns the far end. */
static int give(unsigned n, uint64_t cookie, unsigned limit, uint64_t now_ms, int result)
{
    struct endpoint to = endpoint_number(n);
    int far, fd = open_socket(&far);
    struct idle idle = sample(fd);

    idle.cookie = cookie;
    idle.parked_ms = now_ms;
    assert_int_equal(tree_give(&tree, &to, &idle, limit, now_ms), result);
    close(fd);
    return far;
}

/* The cookie of what was found, 0: nothing. */
static uint64_t take(unsigned n, uint64_t now_ms)
{
    struct endpoint to = endpoint_number(n);
    struct wanted any = { .any = true };
    struct idle out = { .fd = -1 };

    if (tree_take(&tree, &to, &any, &out, now_ms) != 0)
        return 0;
    assert_true(fcntl(out.fd, F_GETFD) == FD_CLOEXEC);
    close(out.fd);
    return out.cookie;
}

static void test_queue_first_in_first_out(void **state)
{
    int far[3];

    (void)state;
    assert_int_equal(take(1, NOW), 0);
    for (unsigned i = 0; i < 3; i++)
        far[i] = give(1, 20 + i, 64, NOW, 0);
    assert_int_equal(tree_count(&tree), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(has_ended(far[i]));
        assert_int_equal(take(1, NOW), 20 + i);
        assert_true(has_ended(far[i]));
        close(far[i]);
    }
    assert_int_equal(take(1, NOW), 0);
    assert_int_equal(tree_count(&tree), 0);
}

static void test_queue_endpoints_apart(void **state)
{
    int far[40];

    (void)state;
    for (unsigned n = 0; n < 40; n++)
        far[n] = give(n, 100 + n, 64, NOW, 0);
    assert_int_equal(take(41, NOW), 0);
    for (unsigned n = 40; n-- > 0;) {
        assert_int_equal(take(n, NOW), 100 + n);
        assert_int_equal(take(n, NOW), 0);
        close(far[n]);
    }
}

static void test_queue_expired(void **state)
{
    int old = give(1, 31, 64, NOW, 0), young = give(1, 32, 64, NOW + IDLE_MS - 1, 0), last;

    (void)state;
    last = give(1, 33, 64, NOW + IDLE_MS, 0); /* who gives sees to what has expired */
    assert_true(has_ended(old));
    assert_false(has_ended(young));
    assert_int_equal(tree_count(&tree), 2);
    assert_int_equal(take(2, NOW + 4 * IDLE_MS), 0);
    close(old);
    close(young);
    close(last);
    while (take(1, NOW + IDLE_MS))
        ;
}

static void test_queue_limit(void **state)
{
    int far[10], ended = 0;

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        far[i] = give(1, 40 + i, 4, NOW, 0);
    for (unsigned i = 0; i < 10; i++) {
        ended += has_ended(far[i]);
        close(far[i]);
    }
    assert_int_equal(ended, 6);
    for (unsigned i = 6; i < 10; i++)
        assert_int_equal(take(1, NOW), 40 + i);
    assert_int_equal(take(1, NOW), 0);
}

static void test_queue_full(void **state)
{
    int far[2 * TREE_MOST];
    unsigned found = 0;

    (void)state;
    for (unsigned i = 0; i < 2 * TREE_MOST; i++)
        far[i] = give(i % 20, 1000 + i, 64, NOW, 0);
    assert_in_range(tree_count(&tree), TREE_MOST - 4, TREE_MOST + 4);
    for (unsigned i = 0; i < 2 * TREE_MOST; i++) {
        while (take(i % 20, NOW))
            found++;
        close(far[i]);
    }
    assert_in_range(found, TREE_MOST - 4, TREE_MOST + 4);
}

static void test_queue_wanted(void **state)
{
    struct endpoint to = endpoint_number(1);
    struct wanted other = { .host = 99, .absolute = true, .proxy_auth = 12 };
    struct wanted same = { .host = 11, .absolute = true, .proxy_auth = 12 };
    struct idle out;
    int far = give(1, 50, 64, NOW, 0);

    (void)state;
    assert_int_equal(tree_take(&tree, &to, &other, &out, NOW), -ENOENT);
    assert_int_equal(tree_take(&tree, &to, &same, &out, NOW), 0);
    close(out.fd);
    close(far);
}

/* Somebody has closed some of the queues, or put something else there. */
static void test_queue_gone(void **state)
{
    int far = give(1, 60, 64, NOW, 0), null;

    (void)state;
    for (int i = 0; i < TREE_QUEUES; i++)
        assert_true(tree_has(&tree, (unsigned)i));
    unmake_tree(state);
    assert_true(has_ended(far));
    close(far);
    assert_false(tree_has(&tree, 0) || tree_lives(&tree));
    assert_int_equal(take(1, NOW), 0);
    close(give(1, 61, 64, NOW, -ENOENT));
    null = open("/dev/null", O_RDWR);
    for (int i = 0; i < TREE_QUEUES; i++)
        assert_int_equal(dup2(null, FIRST + i), FIRST + i);
    close(null);
    assert_false(tree_has(&tree, 0));
    assert_int_equal(take(1, NOW), 0);
    close(give(1, 62, 64, NOW, -ENOENT));
}

static void test_queue_lives(void **state)
{
    struct tree other = tree;

    (void)state;
    assert_true(tree_lives(&tree));
    memset(other.token, 'f', TREE_TOKEN);
    assert_false(tree_lives(&other));
    assert_false(tree_has(&other, 0));
}

/* The message must not come out with a connection that it was not written for. */
static void test_queue_foreign(void **state)
{
    struct endpoint to = endpoint_number(1);
    struct sockaddr_un name;
    socklen_t len = tree_name(&tree, endpoint_hash(&to) % TREE_QUEUES, &name);
    struct tree_message m = written();
    int far;

    (void)state;
    assert_int_equal(sendto(FIRST, "x", 1, 0, (struct sockaddr *)&name, len), 1);
    assert_int_equal(sendto(FIRST, "", 0, 0, (struct sockaddr *)&name, len), 0);
    assert_int_equal(sendto(FIRST, &m, sizeof(m), 0, (struct sockaddr *)&name, len), sizeof(m)); /* no fd */
    far = give(1, 70, 64, NOW, 0);
    assert_int_equal(take(1, NOW), 70);
    assert_int_equal(take(1, NOW), 0);
    assert_int_equal(tree_count(&tree), 0);
    close(far);
}

#define QUEUE_TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, unmake_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_round_trip),
        cmocka_unit_test(test_message_sizes),
        cmocka_unit_test(test_message_fields),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_refused),
        cmocka_unit_test(test_text_changed),
        QUEUE_TEST(test_queue_first_in_first_out),
        QUEUE_TEST(test_queue_endpoints_apart),
        QUEUE_TEST(test_queue_expired),
        QUEUE_TEST(test_queue_limit),
        QUEUE_TEST(test_queue_full),
        QUEUE_TEST(test_queue_wanted),
        QUEUE_TEST(test_queue_gone),
        QUEUE_TEST(test_queue_lives),
        QUEUE_TEST(test_queue_foreign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
