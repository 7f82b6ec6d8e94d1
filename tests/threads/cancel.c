/* SPDX-License-Identifier: ISC */
/* Threads that are cancelled at any moment, while others go on; their cleanup closes their sockets. */
#define _GNU_SOURCE
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VICTIM_THREADS = 8, STEADY_THREADS = 4, MOST = 20000 };

struct doomed {
    pthread_t thread;
    unsigned random;
    struct exchange e;
    struct plan plan;
    bool asynchronous;
};

static atomic_bool over;
static atomic_long outcomes[OUTCOMES], rescued[OUTCOMES], finished, broken;

static void clean(void *argument)
{
    struct doomed *d = argument;

#ifndef __SANITIZE_THREAD__
    exchange_drop(&d->e);
#else
    /* ThreadSanitizer sees no atomics in a thread that was cancelled in one of its interceptors (they are
     * off until the interceptor returns, which it does not): end() closes then. */
    (void)d;
#endif
}

/* Asynchronous in here only, as far as that is sane. */
static ssize_t doomed_recv(struct doomed *d, void *buf, size_t len, int flags)
{
    if (d->asynchronous)
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    ssize_t n = recv(d->e.fd, buf, len, flags);
    while (d->asynchronous && n < 0 && errno == EAGAIN && flags & MSG_DONTWAIT)
        n = recv(d->e.fd, buf, len, flags);
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    return n;
}

/* An answer that takes its time: the thread is cancelled in recv, where it waits or, asynchronous, asks again
 * and again. */
static void slow_receive(struct doomed *d)
{
    char buf[2000];
    ssize_t n = 1;
    int flags = d->asynchronous && random_next(&d->random) % 2 ? MSG_DONTWAIT : 0;

    d->plan.waits = BLOCKING;
    d->plan.stall_ms = 3;
    exchange_init(&d->e, &d->plan);
    if (exchange_connect(&d->e) == 0 &&
        send(d->e.fd, d->e.request, d->e.request_len, MSG_NOSIGNAL) == (ssize_t)d->e.request_len)
        while (n > 0 && !(d->plan.style == KEPT && exchange_complete(&d->e))) {
            n = doomed_recv(d, buf, sizeof buf, flags);
            if (n > 0)
                exchange_feed(&d->e, buf, (size_t)n);
        }
    exchange_drop(&d->e);
}

static void *doomed_work(void *argument)
{
    struct doomed *d = argument;

    pthread_cleanup_push(clean, d);
    for (;;) {
        d->plan = plan_of(random_next(&d->random), MOST);
        if (d->asynchronous || random_next(&d->random) % 3 == 0) {
            slow_receive(d);
            continue;
        }
        exchange_init(&d->e, &d->plan);
        enum outcome outcome = exchange_run(&d->e);
        outcomes[outcome]++;
        pthread_testcancel();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

static void *steady_work(void *argument)
{
    unsigned random = (unsigned)(intptr_t)argument;

    while (!over) {
        struct plan plan = plan_of(random_next(&random), MOST);
        struct exchange e;
        exchange_init(&e, &plan);
        outcomes[exchange_run(&e)]++;
        finished++;
    }
    return NULL;
}

static void begin(struct doomed *d)
{
    d->e.fd = d->e.epfd = -1;
    need(pthread_create(&d->thread, NULL, doomed_work, d) == 0, "pthread_create");
}

static void end(struct doomed *d)
{
    void *result;

    need(pthread_cancel(d->thread) == 0, "pthread_cancel");
    need(pthread_join(d->thread, &result) == 0, "pthread_join");
    broken += result != PTHREAD_CANCELED;
    exchange_drop(&d->e);
}

/* By a peek: a byte that was taken when the thread is cancelled would be lost. */
static void *receives(void *argument)
{
    struct exchange *e = argument;
    char byte;

    return recv(e->fd, &byte, 1, MSG_PEEK) == 1 ? e : NULL;
}

/* A socket whose reader was cancelled in recv goes on to be read by this thread. */
static enum outcome rescue(unsigned *random)
{
    struct plan plan = plan_of(random_next(random), MOST);
    struct exchange e;
    pthread_t thread;
    char buf[3000];
    ssize_t n = 1;
    enum outcome outcome = GOOD;

    plan.waits = BLOCKING;
    plan.stall_ms = 4;
    exchange_init(&e, &plan);
    if (exchange_connect(&e) != 0 || send(e.fd, e.request, e.request_len, MSG_NOSIGNAL) != (ssize_t)e.request_len)
        return FAILED;
    need(pthread_create(&thread, NULL, receives, &e) == 0, "pthread_create");
    sleep_us(random_next(random) % 3000);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    while (outcome == GOOD && n > 0 && !(plan.style == KEPT && exchange_complete(&e)))
        if ((n = recv(e.fd, buf, sizeof buf, 0)) > 0)
            outcome = exchange_feed(&e, buf, (size_t)n);
    if (outcome == GOOD && (n < 0 || e.body != plan.size))
        outcome = n < 0 ? FAILED : TOO_SHORT;
    exchange_drop(&e);
    return outcome;
}

int cancel(int argc, char **argv)
{
    static struct doomed doomed[VICTIM_THREADS];
    pthread_t steady[STEADY_THREADS];
    long times = argc > 1 ? atol(argv[1]) : 100;
    unsigned random = argc > 2 ? (unsigned)atol(argv[2]) : 1;
    int before = fds_open();

    for (int i = 0; i < STEADY_THREADS; i++)
        need(pthread_create(&steady[i], NULL, steady_work, (void *)(intptr_t)(i + 1)) == 0, "pthread_create");
    for (int i = 0; i < VICTIM_THREADS; i++) {
        doomed[i].random = random_next(&random);
        doomed[i].asynchronous = strcmp(argv[0], "asynchronous") == 0;
        begin(&doomed[i]);
    }
    for (long i = 0; i < times; i++) {
        struct doomed *d = &doomed[random_next(&random) % VICTIM_THREADS];
        sleep_us(random_next(&random) % 2000);
        end(d);
        begin(d);
        if (i % 4 == 0)
            rescued[rescue(&random)]++;
    }
    for (int i = 0; i < VICTIM_THREADS; i++)
        end(&doomed[i]);
    over = true;
    for (int i = 0; i < STEADY_THREADS; i++)
        pthread_join(steady[i], NULL);
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s %ld\nrescued_%s %ld\n", outcome_name((enum outcome)i), outcomes[i], outcome_name((enum outcome)i),
               rescued[i]);
    printf("not_cancelled %ld\nsteady %ld\nfds_left %d\nfds_in_all %d\n", broken, finished, fds_open() - before, fds_in_all());
    return 0;
}
