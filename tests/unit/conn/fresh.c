/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* A socket like the client's own: made in each way, with each call failing, and what the client is told then. */
#include "unit/preload/fake_conn.h"

#include "preload/conn/fresh.h"

static unsigned port = 9000;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port++;
    return 0;
}

/* A conn that is connected, entered. */
static struct conn *connected(bool nonblocking)
{
    int fd = fake_open(nonblocking);

    assert_int_equal(fake_connect_to(fd, port), nonblocking ? -EINPROGRESS : 0);
    return fake_enter(fd);
}

static void test_late_error(void **state)
{
    static const int as_they_are[] = { 0, EBADF, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENOBUFS, ENOMEM, ETIMEDOUT };
    static const int others[] = { EADDRNOTAVAIL, EISCONN, EINPROGRESS, EACCES, EAFNOSUPPORT, EINTR };

    (void)state;
    for (size_t i = 0; i < sizeof as_they_are / sizeof *as_they_are; i++)
        assert_int_equal(fresh_late_error(-as_they_are[i]), -as_they_are[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(fresh_late_error(-others[i]), -ECONNRESET);
}

static void test_socket(void **state)
{
    static const enum fresh_how ways[] = { FRESH_WAIT, FRESH_BY_SEND, FRESH_CONNECTING };

    (void)state;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++)
        for (size_t i = 0; i < 3; i++) {
            bool fastopen, by_send = ways[i] == FRESH_BY_SEND;
            int made = -1;
            struct conn *c = connected(nonblocking);
            assert_int_equal(fresh_socket(c, ways[i], &made, &fastopen), 0);
            assert_true(private_is(made));
            assert_int_equal(fastopen, by_send);
            assert_int_equal(fake_under(made)->connected, !by_send);
            assert_int_equal(fake_under(made)->nonblocking, nonblocking); /* as it was before a connect at once */
            assert_null(c->use.reconnecting);
            fresh_close(made);
            assert_false(private_is(made) || fake_under(made));
            conn_leave(c);
        }
}

/* Whichever call fails: nothing is left over. */
static void test_socket_fails(void **state)
{
    static const char *const calls[] = { "socket", "connect", "setsockopt" };
    static const int errors[] = { EMFILE, ETIMEDOUT, EADDRNOTAVAIL, ECONNREFUSED, EBADF, EINPROGRESS };

    (void)state;
    for (size_t call = 0; call < 3; call++)
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
            bool fastopen;
            int made = -1;
            struct conn *c = connected(true);
            int before = fake_numbers_used();
            fake_fail(calls[call], 1, errors[i]);
            int result = fresh_socket(c, call == 2 ? FRESH_BY_SEND : FRESH_CONNECTING, &made, &fastopen);
            assert_true(kernel.failed);
            if (call == 0)
                assert_int_equal(result, -ENOTSUP);
            else if (call == 1)
                assert_int_equal(result, errors[i] == EINPROGRESS ? 0 : errors[i] == EBADF ? -ENOTSUP : fresh_late_error(-errors[i]));
            else
                assert_true(result == 0 && !fastopen && fake_under(made)->connected); /* the connect itself, then */
            if (result == 0)
                fresh_close(made);
            assert_int_equal(fake_numbers_used(), before);
            assert_int_equal(c->use.inside, 0);
            fake_fail_nothing();
            conn_leave(c);
        }
}

static struct conn *changed; /* by another thread, while one connects */

static int connect_meanwhile(int fd, const struct sockaddr *to, socklen_t len)
{
    static const struct timeval patience = { .tv_sec = 7 };

    if (!options_recall(&changed->options, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 0 }, &(socklen_t){ 0 }))
        assert_true(options_note(&changed->options, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience, NULL, 0));
    changed->nonblocking = !changed->nonblocking;
    return fake_connect(fd, to, len);
}

/* What is set on the client's number while the lock is let go for a connect is set on the new socket, too. */
static void test_set_meanwhile(void **state)
{
    bool fastopen;
    int made;

    (void)state;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        changed = connected(nonblocking);
        real.connect = connect_meanwhile;
        assert_int_equal(fresh_socket(changed, FRESH_WAIT, &made, &fastopen), 0);
        assert_int_equal(fake_option(fake_under(made), SOL_SOCKET, SO_RCVTIMEO), 7);
        assert_int_equal(fake_under(made)->nonblocking, !nonblocking);
        real.connect = fake_connect;
        fresh_close(made);
        conn_leave(changed);
    }
}

static int no_number(int fd, int command, ...)
{
    (void)fd;
    assert_int_equal(command, F_DUPFD_CLOEXEC);
    errno = EMFILE;
    return -1;
}

/* No private number is left: a low one does. */
static void test_low_number(void **state)
{
    struct conn *c = connected(false);
    int made;

    (void)state;
    real.fcntl = no_number;
    assert_int_equal(fresh_unconnected(c, &made), 0);
    assert_false(private_is(made));
    assert_non_null(fake_under(made));
    assert_true(kernel.cloexec[made]);
    real.fcntl = fake_fcntl;
    fresh_close(made);
    assert_null(fake_under(made));
    conn_leave(c);
}

static void test_unconnected(void **state)
{
    struct conn *c = connected(true);
    int made, error = 0;

    (void)state;
    assert_int_equal(fresh_unconnected(c, &made), 0);
    assert_true(private_is(made) && !fake_under(made)->connected && fake_under(made)->nonblocking);
    fresh_close(made);
    int before = fake_numbers_used();
    fake_fail("socket", 1, error = ENFILE);
    assert_int_equal(fresh_unconnected(c, &made), -error);
    assert_int_equal(fake_numbers_used(), before);
    conn_leave(c);
}

static void test_at_once(void **state)
{
    struct conn *c = connected(false);
    int fd = private_move(real.socket(AF_INET, SOCK_STREAM, 0));

    (void)state;
    fake_log_begin();
    assert_int_equal(fresh_connect_at_once(c, fd), 0); /* under way, as it was made not to block */
    assert_false(fake_under(fd)->nonblocking);
    assert_true(fake_under(fd)->connected);
    assert_int_equal(fresh_connect_at_once(c, fd), -EISCONN);
    private_close(fd);
    conn_leave(c);
}

static void test_reconnect(void **state)
{
    struct conn *c = connected(false);
    unsigned generation = c->fds.generation;

    (void)state;
    assert_int_equal(fresh_reconnect(c, FRESH_WAIT), 0);
    assert_int_equal(c->fds.generation, generation + 1);
    c->use.inside = 1; /* another thread is in a call on it */
    fake_log_begin();
    assert_int_equal(fresh_reconnect(c, FRESH_WAIT), -ECONNRESET);
    assert_string_equal(kernel.log, "");
    c->use.inside = 0;
    fake_fail("connect", 1, EINVAL); /* AF_UNSPEC */
    assert_int_equal(fresh_reconnect(c, FRESH_WAIT), -ECONNRESET);
    fake_fail("connect", 2, ENETUNREACH);
    assert_int_equal(fresh_reconnect(c, FRESH_CONNECTING), -ENETUNREACH);
    assert_int_equal(c->fds.private_fd, -1);
    assert_int_equal(c->fds.generation, generation + 1);
    conn_leave(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_late_error, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_socket, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_socket_fails, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_set_meanwhile, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_low_number, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_unconnected, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_at_once, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_reconnect, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
