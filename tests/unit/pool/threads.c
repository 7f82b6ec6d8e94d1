/* SPDX-License-Identifier: ISC */
/* pool, with threads at it, forks in the middle, and signal handlers that interrupt it.  Every "fd" has a
 * place: with a thread, in the pool, or discarded; moving it checks that it was where it should be. */
#define _GNU_SOURCE
#include "base/block.h"
#include "base/lock.h"
#include "pool/pool.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, FDS = 512, ENDPOINTS = 40 };
enum place { FREE, HELD, POOLED };

static _Atomic int places[FDS];
static _Atomic unsigned clock_ms = 1000, wrong, leased;
static _Atomic bool stop;

static void move(int fd, enum place from, enum place to)
{
    int expected = (int)from;

    if (!atomic_compare_exchange_strong(&places[fd], &expected, (int)to))
        atomic_fetch_add(&wrong, 1);
}

/* Taken out of the pool, so in nobody's sight but ours. */
static enum pool_health probe(const struct idle *idle)
{
    move(idle->fd, POOLED, HELD);
    move(idle->fd, HELD, POOLED);
    return idle->cookie % 16 == 0 ? POOL_POISONED : POOL_ALIVE;
}

static void discard(const struct idle *idle, enum reason why)
{
    move(idle->fd, POOLED, FREE);
}

static uint64_t now(void)
{
    return atomic_fetch_add(&clock_ms, 1) / 8;
}

static const struct pool_ops ops = { probe, discard, now };

static struct endpoint endpoint(unsigned number)
{
    struct endpoint e = { .family = 2, .port = (uint16_t)(number + 1) };

    return e;
}

static void park_one(unsigned random)
{
    struct endpoint to = endpoint(random % ENDPOINTS);
    struct idle idle = { .fd = (int)(random >> 8) % FDS, .max_left = -1, .idle_ms = 1000, .cookie = random >> 7 };
    int expected = FREE;

    if (!atomic_compare_exchange_strong(&places[idle.fd], &expected, POOLED))
        return;
    pool_park(&to, &idle);
}

static void lease_one(unsigned random)
{
    struct endpoint to = endpoint(random % ENDPOINTS);
    struct wanted any = { .any = true };
    enum reason why;
    struct idle out;

    if (pool_lease(&to, &any, &out, &why) != 0)
        return;
    move(out.fd, POOLED, HELD);
    move(out.fd, HELD, FREE);
    atomic_fetch_add(&leased, 1);
}

static void play(unsigned *seed, unsigned rounds)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* as the library has it: base/lock_order.c */
    for (unsigned i = 0; i < rounds; i++) {
        *seed = *seed * 1103515245u + 12345u;
        if (*seed >> 31)
            park_one(*seed >> 4);
        else
            lease_one(*seed >> 4);
        if (i % 300 == 0)
            pool_shed(2);
    }
}

static void *player(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg, rounds = 0;

    while (!atomic_load(&stop) || rounds < 20) {
        play(&seed, 1000);
        rounds++;
    }
    return NULL;
}

static void start(pthread_t threads[THREADS])
{
    atomic_store(&stop, false);
    atomic_store(&wrong, 0);
    atomic_store(&leased, 0);
    for (unsigned i = 0; i < FDS; i++)
        atomic_store(&places[i], FREE);
    pool_init(&ops, 8, 100);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, player, (void *)(i + 1)), 0);
}

static void finish(pthread_t threads[THREADS])
{
    unsigned pooled = 0;

    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
    assert_in_range(leased, 100, 100000000);
    for (unsigned i = 0; i < FDS; i++) {
        assert_int_not_equal(places[i], HELD);
        pooled += places[i] == POOLED;
    }
    assert_int_equal(pool_count(), pooled);
    assert_int_equal(pool_shed(FDS), pooled);
    assert_int_equal(wrong, 0);
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];

    start(threads);
    finish(threads);
}

static bool abandoned[FDS];

static void abandon(const struct idle *idle)
{
    if (idle->fd < 0 || idle->fd >= FDS || abandoned[idle->fd])
        _exit(2);
    abandoned[idle->fd] = true;
}

/* What the other threads were doing is cut off in the middle, and the child's pool works all the same. */
static _Noreturn void go_on_alone(void)
{
    unsigned seed = 99;

    alarm(20);
    block_after_fork();
    lock_init(&pool_lock);
    pool_abandon(abandon);
    if (pool_count() != 0)
        _exit(3);
    for (unsigned i = 0; i < FDS; i++)
        atomic_store(&places[i], FREE);
    atomic_store(&wrong, 0);
    play(&seed, 3000);
    pool_shed(FDS);
    for (unsigned i = 0; i < FDS; i++)
        if (places[i] != FREE)
            _exit(4);
    _exit(wrong ? 5 : 0);
}

static void test_forks(void **state)
{
    pthread_t threads[THREADS];

    start(threads);
    for (unsigned i = 0; i < 100; i++) {
        pid_t child = fork();
        int status;

        if (child == 0)
            go_on_alone();
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    finish(threads);
}

static _Atomic unsigned signals;

static void on_alarm(int number)
{
    static __thread unsigned seed = 5;
    int before = errno;

    errno = EDOM;
    play(&seed, 3);
    if (errno != EDOM)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&signals, 1);
    errno = before;
}

static void test_signal_handler(void **state)
{
    struct sigaction action = { .sa_handler = on_alarm };
    struct itimerval often = { { 0, 200 }, { 0, 200 } }, never = { { 0, 0 }, { 0, 0 } };
    pthread_t threads[THREADS];

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    start(threads);
    while (signals < 300)
        usleep(1000);
    setitimer(ITIMER_REAL, &never, NULL);
    finish(threads);
}

int main(void)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_forks),
        cmocka_unit_test(test_signal_handler),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
