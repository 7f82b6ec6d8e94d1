/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Spares: what is given is taken, of its family, as long as it is ours and still the same socket. */
#include "unit/preload/fake_kernel.h"

#include "preload/fds/private.h"
#include "preload/fds/spare.h"
#include "preload/self/identity.h"

enum { SLOTS = 64 };

static int setup(void **state)
{
    (void)state;
    fake_reset();
    spare_start(1024); /* a sixteenth: all slots */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    self.threaded = false;
    atomic_store(&identity_changes, 0);
    spare_abandon();
    for (int fd = FAKE_FIRST; fd < FAKE_NUMBERS; fd++)
        private_close(fd);
    assert_int_equal(fake_numbers_used(), 0);
    return 0;
}

static int fresh(void)
{
    int fd = private_move(real.socket(AF_INET, SOCK_STREAM, 0));

    assert_true(private_is(fd));
    return fd;
}

static void test_give_and_take(void **state)
{
    struct spare spare = { true, 0 };
    int fd = fresh();

    (void)state;
    spare_give(AF_INET, fd, spare);
    assert_int_equal(spare_take(AF_INET6, &spare), -1); /* a family of its own */
    assert_int_equal(spare_take(AF_INET, &spare), fd);
    assert_true(spare.nonblocking);
    assert_int_equal(spare.cookie, 0x5000 + (fake_under(fd) - kernel.sockets)); /* asked when it was given */
    assert_int_equal(spare_take(AF_INET, &spare), -1);
    assert_true(private_is(fd)); /* the caller's */

    spare_give(AF_INET6, fd, (struct spare){ false, 77 });
    fake_log_begin();
    assert_int_equal(spare_take(AF_INET6, &spare), fd);
    assert_string_equal(kernel.log, ""); /* the kernel is not asked */
    assert_true(!spare.nonblocking && spare.cookie == 77);
    spare_give(AF_INET, -1, spare);
    assert_int_equal(spare_take(AF_INET, &spare), -1);
}

static void test_room(void **state)
{
    struct spare spare = { false, 0 };
    int third;

    (void)state;
    spare_start(2 * 16);
    spare_give(AF_INET, fresh(), spare);
    spare_give(AF_INET, fresh(), spare);
    spare_give(AF_INET, third = fresh(), spare);
    assert_false(private_is(third)); /* closed */
    assert_null(fake_under(third));
    assert_true(spare_take(AF_INET, &spare) >= 0 && spare_take(AF_INET, &spare) >= 0);
    assert_int_equal(spare_take(AF_INET, &spare), -1);

    spare_start(0); /* one, however few there may be */
    spare_give(AF_INET, fresh(), spare);
    spare_give(AF_INET, third = fresh(), spare);
    assert_false(private_is(third));
    assert_true(spare_take(AF_INET, &spare) >= 0);

    spare_start(1000000);
    for (int i = 0; i < SLOTS; i++)
        spare_give(AF_INET, fresh(), spare);
    spare_give(AF_INET, third = fresh(), spare);
    assert_false(private_is(third));
}

/* The program has put something else under the number. */
static void test_not_ours(void **state)
{
    struct spare spare = { false, 0 };
    int fd = fresh();

    (void)state;
    spare_give(AF_INET, fd, spare);
    private_forget(fd);
    assert_int_equal(spare_take(AF_INET, &spare), -1);
    assert_non_null(fake_under(fd));
    real.close(fd);
}

static void test_abandon(void **state)
{
    struct spare spare = { false, 0 };
    int same = fresh(), replaced = fresh(), forgotten = fresh();

    (void)state;
    spare_give(AF_INET, same, spare);
    spare_give(AF_INET6, replaced, spare);
    spare_give(AF_INET6, forgotten, spare);
    int other = real.socket(AF_INET, SOCK_STREAM, 0);
    real.dup3(other, replaced, O_CLOEXEC); /* unseen: another socket under a number that we think ours */
    private_forget(forgotten);
    spare_abandon();
    assert_null(fake_under(same));
    assert_non_null(fake_under(replaced)); /* not ours to close */
    assert_non_null(fake_under(forgotten));
    assert_int_equal(spare_take(AF_INET, &spare), -1);
    assert_int_equal(spare_take(AF_INET6, &spare), -1);
    real.close(other);
    real.close(forgotten);
}

/* Once users or namespaces have changed, another thread may be somebody else. */
static void test_somebody_else(void **state)
{
    struct spare spare = { false, 0 };
    int kept = fresh(), dropped = fresh();

    (void)state;
    spare_give(AF_INET, kept, spare);
    self.threaded = true;
    atomic_store(&identity_changes, 1);
    assert_int_equal(spare_take(AF_INET, &spare), -1);
    spare_give(AF_INET, dropped, spare);
    assert_false(private_is(dropped));
    atomic_store(&identity_changes, 0); /* threads alone do no harm */
    assert_int_equal(spare_take(AF_INET, &spare), kept);
    private_close(kept);
    self.threaded = false;
    if (!self_alone())
        return;
    atomic_store(&identity_changes, 1); /* nor does a change, in a process with one thread */
    spare_give(AF_INET, dropped = fresh(), spare);
    assert_int_equal(spare_take(AF_INET, &spare), dropped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_give_and_take, setup, teardown),
        cmocka_unit_test_setup_teardown(test_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abandon, setup, teardown),
        cmocka_unit_test_setup_teardown(test_somebody_else, setup, teardown),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
