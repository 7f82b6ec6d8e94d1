/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Options: which may be set on a socket that is shared, what makes two sockets the same, what is put back. */
#include "unit/preload/fake_kernel.h"

#include "preload/fds/options.h"

static struct options set;
static int fd;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fd = real.socket(AF_INET, SOCK_STREAM, 0);
    memset(&set, 0, sizeof set);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    options_clear(&set);
    return 0;
}

static bool note(struct options *o, int level, int name, int value, int old)
{
    return options_note(o, level, name, &value, sizeof value, (const char *)&old, old == -1 ? 0 : sizeof old);
}

static void test_judge(void **state)
{
    const struct {
        int level, name;
        socklen_t len;
        enum options_verdict verdict;
    } rows[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 4, OPTIONS_FINE },      { IPPROTO_TCP, TCP_NODELAY, 4, OPTIONS_FINE },
        { SOL_SOCKET, SO_SNDBUF, 4, OPTIONS_LASTING },      { IPPROTO_TCP, TCP_CONGESTION, 5, OPTIONS_LASTING },
        { SOL_SOCKET, SO_RCVLOWAT, 4, OPTIONS_FOREIGN },    { IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 4, OPTIONS_FOREIGN },
        { IPPROTO_IP, IP_TRANSPARENT, 4, OPTIONS_FOREIGN }, { IPPROTO_TCP, TCP_ULP, 3, OPTIONS_FOREIGN },
        { IPPROTO_TCP, SO_KEEPALIVE, 4, OPTIONS_FOREIGN },  { SOL_SOCKET, SO_KEEPALIVE, OPTION_SIZE + 1, OPTIONS_FOREIGN },
    };
    char value[OPTION_SIZE + 1] = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(options_judge(rows[i].level, rows[i].name, value, rows[i].len), rows[i].verdict);
    assert_int_equal(options_judge(SOL_SOCKET, SO_KEEPALIVE, NULL, 4), OPTIONS_FOREIGN);
}

/* All orders of three options, and of a fourth that was set twice. */
static void test_hash_has_no_order(void **state)
{
    static const int names[3] = { SO_KEEPALIVE, SO_REUSEADDR, SO_PRIORITY };
    static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    uint64_t first = 0;

    (void)state;
    assert_int_equal(options_hash(&set), 0);
    for (int i = 0; i < 6; i++) {
        struct options o = { .count = 0 };
        for (int k = 0; k < 3; k++)
            assert_true(note(&o, SOL_SOCKET, names[orders[i][k]], orders[i][k] + 1, -1));
        uint64_t without = options_hash(&o);
        note(&o, SOL_SOCKET, SO_MARK, 7, -1);
        note(&o, SOL_SOCKET, SO_MARK, 9, -1);
        assert_true(options_hash(&o) != without);
        first = i ? first : options_hash(&o);
        assert_true(options_hash(&o) == first && first);
        options_clear(&o);
    }
}

/* Level, name, value, length and bound address: each makes another socket. */
static void test_hash_tells_apart(void **state)
{
    uint64_t seen[8];
    int n = 0;

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct options o = { .count = 0 };
        int value = i == 2 ? 2 : 1;
        assert_true(options_note(&o, i == 1 ? IPPROTO_TCP : SOL_SOCKET, i == 3 ? SO_REUSEADDR : SO_KEEPALIVE, &value,
                                 i == 4 ? 1 : 4, NULL, 0));
        if (i == 5) {
            o.bound = true;
            o.bound_to.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
            o.bound_len = sizeof o.bound_to.in;
        }
        seen[n++] = options_hash(&o);
        options_clear(&o);
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            assert_true(seen[i] != seen[k]);
}

static void test_room(void **state)
{
    (void)state;
    for (int i = 0; i < OPTIONS_MAX; i++)
        assert_true(note(&set, IPPROTO_TCP, 1000 + i, i, -1));
    assert_false(note(&set, IPPROTO_TCP, 999, 1, -1));
    assert_true(note(&set, IPPROTO_TCP, 1000, 77, -1)); /* again needs none */
    int value = 0;
    socklen_t len = sizeof value;
    assert_true(options_recall(&set, IPPROTO_TCP, 1000, &value, &len) && value == 77 && len == 4);
    assert_false(options_recall(&set, IPPROTO_TCP, 999, &value, &len));
    len = 2;
    assert_true(options_recall(&set, IPPROTO_TCP, 1001, &value, &len) && len == 2);
}

/* What was there before the first change is put back, whatever was set in between. */
static void test_undo(void **state)
{
    (void)state;
    note(&set, SOL_SOCKET, SO_KEEPALIVE, 1, 0);
    note(&set, SOL_SOCKET, SO_KEEPALIVE, 5, 1);
    note(&set, SOL_SOCKET, SO_PRIORITY, 3, -1); /* before connect: stays */
    note(&set, IPPROTO_TCP, TCP_NODELAY, 1, 0); /* options_slow's */
    assert_true(options_undo(&set, fd));
    assert_int_equal(fake_under(fd)->option_count, 1);
    assert_int_equal(fake_option(fake_under(fd), SOL_SOCKET, SO_KEEPALIVE), 0);
}

static void test_undo_fails(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth <= 3; nth++) {
        setup(NULL);
        for (int i = 0; i < 3; i++)
            note(&set, IPPROTO_TCP, TCP_KEEPIDLE + i, 100, 10 + i);
        fake_fail("setsockopt", nth, EPERM);
        assert_false(options_undo(&set, fd));
        assert_int_equal(fake_under(fd)->option_count, 2); /* the others all the same */
        options_clear(&set);
    }
}

static void test_apply(void **state)
{
    (void)state;
    note(&set, SOL_SOCKET, SO_KEEPALIVE, 1, 0);
    note(&set, IPPROTO_TCP, TCP_KEEPIDLE, 30, -1);
    assert_int_equal(options_apply(&set, fd), 0);
    assert_int_equal(fake_option(fake_under(fd), SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(fake_option(fake_under(fd), IPPROTO_TCP, TCP_KEEPIDLE), 30);
    for (unsigned nth = 1; nth <= 2; nth++) {
        fake_fail("setsockopt", nth, ENOMEM);
        assert_int_equal(options_apply(&set, fd), -ENOMEM);
    }
}

static int bind_refuses(int number, const struct sockaddr *to, socklen_t len)
{
    (void)to;
    assert_true(number == fd && len == sizeof(struct sockaddr_in));
    errno = EADDRNOTAVAIL;
    return -1;
}

static void test_apply_binds(void **state)
{
    (void)state;
    set.bound = true;
    set.bound_len = sizeof set.bound_to.in;
    real.bind = bind_refuses;
    assert_int_equal(options_apply(&set, fd), -EADDRNOTAVAIL);
}

static void test_nodelay(void **state)
{
    (void)state;
    errno = 42;
    options_hasten(fd);
    assert_int_equal(fake_option(fake_under(fd), IPPROTO_TCP, TCP_NODELAY), 1);
    options_slow(&set, fd);
    assert_int_equal(fake_option(fake_under(fd), IPPROTO_TCP, TCP_NODELAY), 0);
    options_hasten(fd);
    note(&set, IPPROTO_TCP, TCP_NODELAY, 1, 0); /* the client wants it, too */
    options_slow(&set, fd);
    assert_int_equal(fake_option(fake_under(fd), IPPROTO_TCP, TCP_NODELAY), 1);
    fake_fail("setsockopt", 1, EBADF);
    options_hasten(fd);
    assert_int_equal(errno, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_judge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hash_has_no_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hash_tells_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_undo, setup, teardown),
        cmocka_unit_test_setup_teardown(test_undo_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_apply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_apply_binds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nodelay, setup, teardown),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
