/* SPDX-License-Identifier: ISC */
/* block: sizes, reuse, threads, signal handlers and forks. */
#define _GNU_SOURCE
#include "base/block.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static size_t expected_cap(size_t size)
{
    size_t cap = 64;

    while (cap < size)
        cap *= 2;
    return cap;
}

static void test_sizes(void **state)
{
    for (size_t size = 0; size <= BLOCK_MAX; size = size < 300 ? size + 1 : size * 5 / 4) {
        size_t cap = 0;
        char *block = block_get(size, &cap);

        assert_non_null(block);
        assert_int_equal(cap, expected_cap(size));
        assert_int_equal((uintptr_t)block % 64, 0);
        memset(block, 0xff, cap);
        block_put(block, cap);
    }
    assert_non_null(block_get(BLOCK_MAX, NULL));
    errno = EDOM;
    assert_null(block_get((size_t)BLOCK_MAX + 1, NULL));
    assert_null(block_get(SIZE_MAX, NULL));
    block_put(NULL, 64);
    assert_int_equal(errno, EDOM);
}

static void test_reuse(void **state)
{
    size_t cap;
    char *first = block_get(1000, &cap), *second = block_get(1000, NULL);

    assert_ptr_not_equal(first, second);
    block_put(first, cap);
    assert_ptr_equal(block_get(600, NULL), first); /* the same size class */
    block_put(second, cap);
    block_put(first, cap);
    assert_ptr_not_equal(block_get(500, NULL), first); /* another */
    assert_ptr_equal(block_get(1024, NULL), first);
    assert_ptr_equal(block_get(1024, NULL), second);
}

/* Blocks that are in use at one time do not overlap. */
static void test_disjoint(void **state)
{
    enum { COUNT = 2000 };
    static unsigned char *blocks[COUNT];
    static size_t caps[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = block_get(64u << (i % 9), &caps[i]);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)(i % 251), caps[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < caps[i]; at++)
            assert_int_equal(blocks[i][at], i % 251);
        block_put(blocks[i], caps[i]);
    }
}

static void churn(unsigned rounds, unsigned char mark)
{
    unsigned char *held[16] = { NULL };
    size_t caps[16] = { 0 };

    for (unsigned i = 0; i < rounds; i++) {
        unsigned at = i % 16;

        if (held[at]) {
            if (held[at][0] != mark || held[at][caps[at] - 1] != mark)
                _exit(9);
            block_put(held[at], caps[at]);
        }
        held[at] = block_get(64u << (i % 5), &caps[at]);
        if (!held[at])
            _exit(10);
        held[at][0] = held[at][caps[at] - 1] = mark;
    }
    for (unsigned i = 0; i < 16; i++)
        block_put(held[i], caps[i]);
}

static _Atomic bool stop;

static void *churner(void *arg)
{
    unsigned rounds = 0;

    while (!atomic_load(&stop) || rounds == 0) {
        churn(100, (unsigned char)(uintptr_t)arg);
        rounds++;
    }
    return NULL;
}

/* Threads churn while this one forks; each child goes on alone. */
static void test_threads_and_forks(void **state)
{
    pthread_t threads[3];

    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churner, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 30; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            alarm(20);
            block_after_fork();
            churn(500, 200);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

#define SIGNALS_MOST 300
static volatile sig_atomic_t signals;

/* One at a time: on a busy machine an interval is over before the handler is, and nothing else would run. */
static void next_alarm(void)
{
    struct itimerval soon = { .it_value = { 0, 200 } };

    setitimer(ITIMER_REAL, &soon, NULL);
}

static void on_alarm(int number)
{
    churn(20, 100);
    if (++signals < SIGNALS_MOST)
        next_alarm();
}

/* A handler that interrupts the holder of the lock neither hangs nor gets a block in use. */
static void test_signal_handler(void **state)
{
    struct sigaction action = { .sa_handler = on_alarm };
    struct itimerval never = { { 0, 0 }, { 0, 0 } };

    sigaction(SIGALRM, &action, NULL);
    next_alarm();
    for (unsigned i = 0; i < 20000 && signals < SIGNALS_MOST; i++)
        churn(100, 101);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_in_range(signals, 10, 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_disjoint),
        cmocka_unit_test(test_threads_and_forks),
        cmocka_unit_test(test_signal_handler),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
