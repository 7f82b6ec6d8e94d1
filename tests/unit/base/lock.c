/* SPDX-License-Identifier: ISC */
/* lock: excludes, knows its owner, and does neither hang in a signal handler nor after a fork. */
#define _GNU_SOURCE
#include "base/lock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 100000 };

static struct lock lock; /* of zeros, as a conn's */
static unsigned long counted; /* under the lock */

static void *counter(void *arg)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned long before;

        if (!lock_take(&lock))
            return arg;
        before = counted;
        if (i % 1000 == 0)
            sched_yield();
        counted = before + 1;
        lock_give(&lock);
    }
    return NULL;
}

static void test_excludes(void **state)
{
    pthread_t threads[THREADS];

    lock_init(&lock);
    counted = 0;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, counter, &lock), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(counted, (unsigned long)THREADS * ROUNDS);
}

static void test_owner(void **state)
{
    struct lock other = LOCK_FREE(block_lock);

    lock_init(&lock);
    errno = EDOM;
    assert_true(lock_take(&lock));
    assert_false(lock_take(&lock));
    assert_false(lock_take(&lock));
    assert_true(lock_take(&other));
    lock_give(&other);
    lock_give(&lock);
    assert_true(lock_take(&lock));
    lock_give(&lock);
    assert_int_equal(errno, EDOM);
}

static void *waiter(void *arg)
{
    bool taken;

    errno = EDOM;
    taken = lock_take(&lock);
    lock_give(&lock);
    return taken && errno == EDOM ? NULL : arg;
}

/* Those who wait sleep, and all of them are woken. */
static void test_sleeps(void **state)
{
    struct timespec while_held = { 0, 100000000 }, cpu;
    pthread_t threads[THREADS];

    lock_init(&lock);
    assert_true(lock_take(&lock));
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, waiter, &lock);
    nanosleep(&while_held, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        clockid_t clock;

        assert_int_equal(pthread_getcpuclockid(threads[i], &clock), 0);
        assert_int_equal(clock_gettime(clock, &cpu), 0);
        assert_int_equal(cpu.tv_sec, 0);
        assert_in_range(cpu.tv_nsec, 0, 50000000);
    }
    lock_give(&lock);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

static volatile sig_atomic_t given, refused;

static void on_alarm(int number)
{
    if (lock_take(&lock)) {
        given++;
        lock_give(&lock);
    } else {
        refused++;
    }
}

static void test_signal_handler(void **state)
{
    struct sigaction action = { .sa_handler = on_alarm };
    struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };

    lock_init(&lock);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned i = 0; i < 50000000 && given + refused < 2000; i++) {
        if (lock_take(&lock))
            lock_give(&lock);
        else
            fail();
    }
    setitimer(ITIMER_REAL, &never, NULL);
    assert_in_range(given, 1, 1000000);
    assert_in_range(refused, 1, 1000000);
}

/* The thread that forks keeps its number, so the child may even go on in a critical section. */
static void test_fork(void **state)
{
    pid_t child;
    int status;

    lock_init(&lock);
    assert_true(lock_take(&lock));
    child = fork();
    if (child == 0) {
        bool known = !lock_take(&lock);

        lock_init(&lock);
        _exit(known && lock_take(&lock) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    lock_give(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_excludes),       cmocka_unit_test(test_owner), cmocka_unit_test(test_sleeps),
        cmocka_unit_test(test_signal_handler), cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
