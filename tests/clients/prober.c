/* SPDX-License-Identifier: ISC */
/* A plain HTTP client with many habits.  It reports what it was answered and what the sockets said on
 * the way; run it twice, and compare.  See prober.h. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "prober.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long next_index, failures, wakeups, empty, reads, sends;
static char **texts;

static void watchdog(int number)
{
    static const char text[] = "TIMEOUT: hung\n";

    (void)number;
    if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
        _exit(4);
    _exit(3);
}

/* The next request, or NULL when all were begun. */
static struct exchange *begin(void)
{
    struct exchange *x = malloc(sizeof(*x));
    long index;

    if (x == NULL)
        abort();
    pthread_mutex_lock(&lock);
    index = next_index < settings.requests ? next_index++ : -1;
    pthread_mutex_unlock(&lock);
    if (index < 0) {
        free(x);
        return NULL;
    }
    if (index > 0 && settings.pause_ms > 0)
        usleep((useconds_t)settings.pause_ms * 1000);
    alarm((unsigned)settings.timeout_ms * 4 / 1000 + 1);
    exchange_start(x, index);
    return x;
}

static void account(struct exchange *x)
{
    exchange_finish(x);
    pthread_mutex_lock(&lock);
    failures += x->failed;
    wakeups += x->wakeups;
    empty += x->empty;
    reads += x->reads;
    sends += x->sends;
    if (settings.quiet || settings.dump || settings.dump_body || x->elsewhere)
        free(x->text);
    else
        texts[x->index] = x->text;
    pthread_mutex_unlock(&lock);
    free(x);
}

static void *run_blocking(void *arg)
{
    struct exchange *x;

    while ((x = begin()) != NULL) {
        exchange_run(x);
        account(x);
    }
    return arg;
}

static void run_threads(void)
{
    pthread_t thread[CONCURRENCY_MAX];

    for (int i = 1; i < settings.concurrency; i++)
        if (pthread_create(&thread[i], NULL, run_blocking, NULL) != 0)
            abort();
    run_blocking(NULL);
    for (int i = 1; i < settings.concurrency; i++)
        pthread_join(thread[i], NULL);
}

/* Step all, account for those that are done, begin others in their place.  The number left. */
static int turn(struct exchange **all, int n)
{
    for (int i = 0; i < n;) {
        bool moved = exchange_step(all[i]);

        all[i]->empty += all[i]->woken && !moved;
        all[i]->woken = false;
        if (all[i]->step != STEP_DONE) {
            i++;
            continue;
        }
        account(all[i]);
        all[i] = begin();
        if (all[i] == NULL)
            all[i] = all[--n];
    }
    return n;
}

static void run_loop(void)
{
    struct exchange *all[CONCURRENCY_MAX];
    int n = 0;

    wait_init();
    while (n < settings.concurrency && (all[n] = begin()) != NULL)
        n++;
    while ((n = turn(all, n)) > 0)
        if (!wait_for(all, n))
            for (int i = 0; i < n; i++)
                exchange_fail(all[i], "TIMEOUT", 0);
}

static void print_texts(double seconds)
{
    for (long i = 0; i < settings.requests; i++) {
        if (texts[i] != NULL)
            fputs(texts[i], stdout);
        free(texts[i]);
    }
    if (settings.dump || settings.dump_body)
        return;
    printf("requests %ld failed %ld\n", settings.requests, failures);
    printf("@@ wakeups %ld empty %ld reads %ld sends %ld seconds %.3f\n", wakeups, empty, reads, sends,
           seconds);
}

int main(int argc, char **argv)
{
    struct timespec begun, done;

    options_parse(argc, argv);
    signal(SIGALRM, watchdog);
    texts = calloc((size_t)settings.requests + 1, sizeof(*texts));
    if (texts == NULL)
        abort();
    clock_gettime(CLOCK_MONOTONIC, &begun);
    if (settings.wait == WAIT_NONE)
        run_threads();
    else
        run_loop();
    clock_gettime(CLOCK_MONOTONIC, &done);
    print_texts((double)(done.tv_sec - begun.tv_sec) + (double)(done.tv_nsec - begun.tv_nsec) / 1e9);
    return failures > 0;
}
