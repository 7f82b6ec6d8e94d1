/* SPDX-License-Identifier: ISC */
/* lock_order: a wrong order is caught, a right one is not, for each two locks; a handler is outside of it. */
#define _GNU_SOURCE
#ifndef HOLDFAST_DEBUG /* as all unit tests are built; who reads this one without */
#define HOLDFAST_DEBUG
#endif
#include "base/lock.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static jmp_buf asserted;
static int quiet;

/* The library's assertion; cmocka has its own. */
void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
    (void)what;
    (void)file;
    (void)line;
    (void)function;
    longjmp(asserted, 1);
}

static struct lock locks[LOCK_RANKS];

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOCK_RANKS; i++) {
        locks[i] = (struct lock){ 0, (enum lock_rank)i };
        lock_init(&locks[i]);
    }
    return 0;
}

/* Is it caught?  What is told of it on standard error goes to nowhere. */
static bool takes_wrongly(struct lock *lock)
{
    volatile bool caught = true;
    int error = dup(STDERR_FILENO);

    dup2(quiet, STDERR_FILENO);
    if (!setjmp(asserted)) {
        if (lock_take(lock))
            lock_give(lock);
        caught = false;
    }
    dup2(error, STDERR_FILENO);
    close(error);
    return caught;
}

static void test_each_pair(void **state)
{
    for (unsigned first = 0; first < LOCK_RANKS; first++)
        for (unsigned second = 0; second < LOCK_RANKS; second++) {
            if (first == second)
                continue;
            setup(state);
            assert_true(lock_take(&locks[first]));
            assert_int_equal(takes_wrongly(&locks[second]), second < first);
            lock_give(&locks[first]);
            assert_false(takes_wrongly(&locks[second])); /* the first is forgotten */
        }
}

/* Who can be cancelled takes none that others would wait for. */
static void test_cancelled(void **state)
{
    (void)state;
    if (lock_alone())
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    bool pool = takes_wrongly(&locks[LOCK_pool_lock]), block = takes_wrongly(&locks[LOCK_block_lock]);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    assert_true(pool);
    assert_false(block);
}

/* As a fork does. */
static void test_all_in_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOCK_RANKS; i++)
        assert_true(lock_take(&locks[i]));
    for (unsigned i = LOCK_RANKS; i-- > 0;)
        lock_give(&locks[i]);
    assert_false(takes_wrongly(&locks[0]));
}

/* What a holder asks for again is refused, not wrong (lock.h). */
static void test_again(void **state)
{
    (void)state;
    assert_true(lock_take(&locks[LOCK_pool_lock]));
    assert_false(takes_wrongly(&locks[LOCK_pool_lock]));
    assert_false(lock_take(&locks[LOCK_pool_lock]));
    lock_give(&locks[LOCK_pool_lock]);
}

static void test_child(void **state)
{
    (void)state;
    assert_true(lock_take(&locks[LOCK_bell_lock]));
    lock_init(&locks[LOCK_bell_lock]);
    assert_false(takes_wrongly(&locks[LOCK_conn_lock]));
}

static void *second_conn(void *other)
{
    struct lock first = { 0 };

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    if (!lock_take(&first))
        return other;
    bool caught = takes_wrongly(other);
    lock_give(&first);
    return caught ? NULL : other;
}

/* Of a thread that is alone, no other can want the first. */
static void test_second_conn(void **state)
{
    struct lock other = { 0 };
    pthread_t thread;
    void *failed;

    (void)state;
    if (lock_alone()) {
        assert_true(lock_take(&locks[LOCK_conn_lock]));
        assert_false(takes_wrongly(&other));
        lock_give(&locks[LOCK_conn_lock]);
    }
    assert_int_equal(pthread_create(&thread, NULL, second_conn, &other), 0);
    pthread_join(thread, &failed);
    assert_null(failed);
}

static volatile sig_atomic_t taken_in_handler;

static void handler(int number)
{
    (void)number;
    taken_in_handler = lock_take(&locks[LOCK_conn_lock]);
    if (taken_in_handler)
        lock_give(&locks[LOCK_conn_lock]);
}

static void test_handler(void **state)
{
    const struct sigaction action = { .sa_handler = handler };

    (void)state;
    sigaction(SIGUSR1, &action, NULL);
    assert_true(lock_take(&locks[LOCK_pool_lock]));
    raise(SIGUSR1);
    lock_give(&locks[LOCK_pool_lock]);
    assert_true(taken_in_handler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_second_conn, setup), /* first: the program has one thread still */
        cmocka_unit_test_setup(test_each_pair, setup), cmocka_unit_test_setup(test_all_in_order, setup),
        cmocka_unit_test_setup(test_again, setup),     cmocka_unit_test_setup(test_child, setup),
        cmocka_unit_test_setup(test_handler, setup),   cmocka_unit_test_setup(test_cancelled, setup),
    };

    quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
