/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* The end-of-file socket: made once, with strangers about, with each call failing, and made again when it is gone. */
#include "unit/preload/fake_kernel.h"

#include "preload/fds/eof.h"
#include "preload/fds/private.h"

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

/* Our numbers, and what is under them. */
static int private_count(void)
{
    int n = 0;

    for (int fd = FAKE_FIRST; fd < FAKE_NUMBERS; fd++)
        n += private_is(fd);
    return n;
}

static int forget(void **state)
{
    (void)state;
    for (int fd = FAKE_FIRST; fd < FAKE_NUMBERS; fd++)
        private_close(fd);
    assert_int_equal(fake_numbers_used(), 0);
    return 0;
}

static void test_pair(void **state)
{
    (void)state;
    errno = 42;
    int fd = eof_socket(AF_INET, false);
    assert_true(private_is(fd) && errno == 42);
    assert_int_equal(private_count(), 2);
    assert_int_equal(fake_numbers_used(), 2); /* the listener is closed */
    assert_false(fake_under(fd)->write_shut);
    int far = fd == 896 ? 897 : 896;
    assert_true(fake_under(far)->write_shut && !fake_under(far)->read_shut);

    fake_log_begin();
    assert_int_equal(eof_socket(AF_INET, true), fd); /* not asked again */
    assert_string_equal(kernel.log, "");
    assert_int_equal(eof_socket(AF_INET, false), fd);
    assert_true(eof_socket(AF_INET6, false) != fd); /* a family of its own */
}

static void test_strangers(void **state)
{
    (void)state;
    kernel.strangers = 3;
    int fd = eof_socket(AF_INET, false);
    assert_true(private_is(fd) && fake_numbers_used() == 2);
    forget(NULL);
    kernel.strangers = 100;
    fd = eof_socket(AF_INET, false); /* a socket that was never connected, shut down, stands in */
    assert_true(private_is(fd) && fake_numbers_used() == 1);
    assert_true(fake_under(fd)->read_shut && fake_under(fd)->write_shut && !fake_under(fd)->connected);
}

/* Whichever call fails: an end of file all the same, or none; nothing is left open, errno neither. */
static void test_each_call_fails(void **state)
{
    unsigned nth = 1, stood_in = 0, none = 0;

    (void)state;
    for (;; nth++) {
        setup(NULL);
            errno = 42;
        fake_fail(FAKE_ANY, nth, EMFILE);
        int fd = eof_socket(AF_INET, false);
        bool failed = kernel.failed;
        fake_fail_nothing();
        assert_int_equal(errno, 42);
        assert_int_equal(fake_numbers_used(), private_count());
        if (fd < 0) {
            none++;
            assert_int_equal(private_count(), 0);
        } else {
            const struct fake_socket *s = fake_under(fd);
            stood_in += s->read_shut;
            assert_true(s->read_shut || s->connected);
        }
        forget(NULL);
        if (!failed)
            break;
    }
    assert_in_range(nth, 10, 30);
    assert_in_range(stood_in, 5, nth);
    assert_in_range(none, 0, 2);
}

/* Closed where we did not see it; perhaps another socket has the number. */
static void test_gone(void **state)
{
    (void)state;
    int fd = eof_socket(AF_INET, false);
    private_close(fd);
    int again = eof_socket(AF_INET, true);
    assert_true(private_is(again) && fake_under(again)->connected);

    real.close(again); /* the mark stays */
    int other = real.socket(AF_INET, SOCK_STREAM, 0);
    real.dup3(other, again, 0);
    fd = eof_socket(AF_INET, false);
    assert_true(fake_under(fd) != fake_under(other));
    private_forget(again);
    real.close(again);
    real.close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pair, setup, forget),
        cmocka_unit_test_setup_teardown(test_strangers, setup, forget),
        cmocka_unit_test_setup_teardown(test_each_call_fails, setup, forget),
        cmocka_unit_test_setup_teardown(test_gone, setup, forget),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
