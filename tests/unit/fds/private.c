/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Private numbers: where they lie, how many there may be, what the program finds under them. */
#include "unit/preload/fake_kernel.h"

#include "preload/fds/private.h"

enum { FIRST = 896, MOST = 128 }; /* of a limit of 1024 */

static int client; /* a number of the program's */

static int setup(void **state)
{
    (void)state;
    fake_reset();
    client = real.socket(AF_INET, SOCK_STREAM, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int fd = 0; fd < FAKE_NUMBERS; fd++)
        if (private_is(fd))
            private_close(fd);
    return setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 1024, 1024 });
}

static void test_marks(void **state)
{
    (void)state;
    errno = 42;
    int fd = private_dup(client);
    assert_int_equal(fd, FIRST);
    assert_int_equal(errno, 42);
    assert_true(private_is(fd) && !private_is(client) && !private_is(-1) && !private_is(CONN_TABLE_SIZE));
    assert_ptr_equal(conn_find(fd), CONN_PRIVATE);
    assert_null(conn_enter(fd, NEED_ALL));
    assert_true(kernel.cloexec[fd] && fake_under(fd) == fake_under(client));
    private_close(fd);
    assert_false(private_is(fd));
    assert_null(fake_under(fd));
    assert_int_equal(errno, 42);
}

static void test_most(void **state)
{
    (void)state;
    for (int i = 0; i < MOST; i++)
        assert_int_equal(private_dup(client), FIRST + i);
    fake_log_begin();
    assert_int_equal(private_dup(client), -1);
    assert_int_equal(private_move(client), -1);
    assert_string_equal(kernel.log, "");
    assert_non_null(fake_under(client));
    private_close(FIRST + 7);
    assert_int_equal(private_dup(client), FIRST + 7);
    assert_int_equal(private_limit(), MOST);
}

static int fcntl_refuses(int fd, int command, ...)
{
    assert_true(fd == client && command == F_DUPFD_CLOEXEC);
    errno = EMFILE;
    return -1;
}

static void test_refused(void **state)
{
    (void)state;
    errno = 42;
    real.fcntl = fcntl_refuses;
    assert_int_equal(private_dup(client), -1);
    assert_int_equal(private_move(client), -1);
    assert_int_equal(errno, 42);
    assert_non_null(fake_under(client));

    real.fcntl = fake_fcntl;
    fake_fail("fcntl", 1, EMFILE);
    assert_int_equal(private_dup(client), FIRST); /* asked once more, with the limit as it is now */
    assert_true(kernel.failed && errno == 42);
    for (int i = 1; i < MOST; i++) /* what failed does not count */
        assert_int_equal(private_dup(client), FIRST + i);
    assert_int_equal(private_dup(client), -1);
}

static void test_not_ours(void **state)
{
    (void)state;
    fake_log_begin();
    private_close(-1);
    private_close(client);
    private_forget(client);
    assert_string_equal(kernel.log, "");
    assert_non_null(fake_under(client));

    int fd = private_dup(client);
    private_forget(fd); /* the program has closed it where we did not see it */
    fake_log_begin();
    private_close(fd);
    assert_string_equal(kernel.log, "");
}

static void test_move(void **state)
{
    (void)state;
    struct fake_socket *s = fake_under(client);
    int fd = private_move(client);
    assert_int_equal(fd, FIRST);
    assert_null(fake_under(client));
    assert_ptr_equal(fake_under(fd), s);
}

static void test_adopt(void **state)
{
    (void)state;
    real.dup3(client, 1100, O_CLOEXEC);
    private_adopt(1100);
    private_adopt(1100);
    private_adopt(-1);
    assert_true(private_is(1100));
    for (int i = 0; i < MOST; i++) /* it does not count against what may be made */
        assert_int_equal(private_dup(client), FIRST + i);
    assert_int_equal(private_dup(client), -1);
}

static rlim_t soft_limit(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
}

/* Above the soft limit where the hard one allows it: the program cannot meet the number, nor the limit. */
static void test_above(void **state)
{
    (void)state;
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 256, 1024 });
    private_close(private_dup(client)); /* the limit is known from now on */
    assert_int_equal(private_dup(client), 256);
    assert_int_equal(soft_limit(), 256);

    self.threaded = true; /* another thread would see it raised */
    int fd = private_dup(client);
    self.threaded = false;
    assert_int_equal(fd, 224);
    assert_int_equal(soft_limit(), 256);

    setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 200, 1024 }); /* by the program, meanwhile */
    fd = private_dup(client);
    assert_true(fd >= 175 && private_is(fd));
    assert_int_equal(soft_limit(), 200);

    fake_fail("fcntl", 1, EMFILE);
    fd = private_dup(client);
    assert_true(fd >= 0 && kernel.failed);
    assert_int_equal(soft_limit(), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_most, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_above, setup, teardown),
        cmocka_unit_test_setup_teardown(test_adopt, setup, teardown), /* last: what is adopted counts for good */
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
