/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Withheld: who is due when, by the test's clock; how long a wait may take until then; what a fork forgets. */
#include "unit/preload/fake_conn.h"

#include "preload/conn/withheld.h"

static int released[100], count;

static int release(struct conn *c, int fd)
{
    assert_true(lock_mine(&c->lock) && conn_owns(c, fd));
    released[count++] = fd;
    withheld_over(c);
    errno = EDOM; /* what the walk must not tell its caller */
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    withheld_after_fork();
    count = 0;
    return 0;
}

static int begin(void)
{
    int fd = fake_open(false);

    assert_int_equal(fake_connect_to(fd, 4000), 0);
    struct conn *c = fake_enter(fd);
    withheld_begin(c);
    conn_leave(c);
    return fd;
}

static void over(int fd)
{
    withheld_over(fake_enter(fd));
    conn_leave(conn_find(fd));
}

static void test_count(void **state)
{
    int fd = begin();
    struct conn *c = conn_find(fd);

    (void)state;
    assert_true(withheld_any());
    assert_int_equal(atomic_load(&withheld_count), 1);
    uint64_t first = c->request.withheld_ms;
    fake_ms += 10;
    withheld_begin(fake_enter(fd)); /* more of the same: from now on, and counted once */
    conn_leave(c);
    assert_int_equal(atomic_load(&withheld_count), 1);
    assert_int_equal(c->request.withheld_ms, first + 10);
    over(fd);
    assert_false(withheld_any());
    assert_int_equal(c->request.withheld_ms, 0);
    over(fd); /* again: nothing */
    assert_false(withheld_any());

    struct conn none = { .fds.count = 0 }; /* closed by another thread */
    withheld_begin(&none);
    assert_true(!withheld_any() && !none.request.withheld_ms);
}

static void test_due(void **state)
{
    int fd = begin();

    (void)state;
    fake_ms += WITHHELD_MS - 1;
    assert_false(withheld_due(conn_find(fd)));
    fake_ms++;
    assert_true(withheld_due(conn_find(fd)));
    over(fd);
    assert_false(withheld_due(conn_find(fd)));
}

static void test_turn(void **state)
{
    (void)state;
    assert_int_equal(withheld_turn_ms(), WITHHELD_MS); /* nobody's */
    int first = begin();
    assert_int_equal(withheld_turn_ms(), WITHHELD_MS);
    fake_ms += 20;
    int second = begin(); /* later than the first */
    assert_int_equal(withheld_turn_ms(), WITHHELD_MS - 20);
    fake_ms += 29;
    assert_int_equal(withheld_turn_ms(), 1);
    fake_ms += 30;
    assert_int_equal(withheld_turn_ms(), 1); /* at least */
    over(first), over(second);
}

static void test_each_due(void **state)
{
    int first = begin();

    (void)state;
    fake_ms += 20;
    int second = begin();
    fake_ms += 29;
    withheld_each_due(release);
    assert_int_equal(count, 0);
    fake_ms++;
    errno = 42;
    withheld_each_due(release);
    assert_int_equal(errno, 42);
    assert_int_equal(count, 1);
    assert_int_equal(released[0], first);
    assert_int_equal(withheld_turn_ms(), 20); /* for the second */
    fake_ms += 20;
    withheld_each_due(release);
    assert_int_equal(count, 2);
    assert_int_equal(released[1], second);
    assert_int_equal(withheld_turn_ms(), WITHHELD_MS);
    fake_ms += 1000;
    withheld_each_due(release); /* none is left */
    assert_int_equal(count, 2);
}

/* Closed with something withheld, the number is another conn's now. */
static void test_stale_hint(void **state)
{
    int fd = begin();

    (void)state;
    conn_find(fd)->request.withheld_ms = 0;
    fake_ms += WITHHELD_MS;
    withheld_each_due(release);
    assert_int_equal(count, 0);
    withheld_begin(fake_enter(fd));
    conn_leave(conn_find(fd));
    fake_ms += WITHHELD_MS;
    withheld_each_due(release); /* it has a place again */
    assert_int_equal(count, 1);
    atomic_store(&withheld_count, 0);
}

/* For more than there are places nobody looks, but they are counted, and go as they came. */
static void test_many(void **state)
{
    enum { PLACES = 64, MANY = PLACES + 4 };
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        fds[i] = begin();
    assert_int_equal(atomic_load(&withheld_count), MANY);
    fake_ms += WITHHELD_MS;
    withheld_each_due(release);
    assert_int_equal(count, PLACES);
    for (int i = PLACES; i < MANY; i++)
        over(fds[i]);
    assert_false(withheld_any());
}

static void test_fork(void **state)
{
    int fd = begin();

    (void)state;
    withheld_after_fork();
    assert_false(withheld_any());
    assert_int_equal(withheld_turn_ms(), WITHHELD_MS);
    fake_ms += WITHHELD_MS;
    withheld_each_due(release);
    assert_int_equal(count, 0);
    conn_find(fd)->request.withheld_ms = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_count, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_due, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_turn, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_each_due, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_stale_hint, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_many, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_fork, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
