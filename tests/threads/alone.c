/* SPDX-License-Identifier: ISC */
/* Threads that share nothing but the process. */
#define _GNU_SOURCE
#include "threads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { THREADS_MAX = 1024, MOST = 60000 };

struct worker {
    pthread_t thread;
    unsigned random;
    int number;
    long exchanges, requests, bytes, outcomes[OUTCOMES];
};

static void complain(const struct worker *w, const struct exchange *e, enum outcome outcome)
{
    const struct plan *p = e->plan;

    fprintf(stderr, "thread %d: %s (%s %s) at byte %ld of %ld, style %d waits %d chunked %d pieces %d seed %u\n%.200s\n",
            w->number, outcome_name(outcome), e->call ? e->call : "", e->error ? strerror(e->error) : "", e->body,
            p->size, p->style, p->waits, p->chunked, p->pieces, p->seed, e->head);
}

static void *work(void *argument)
{
    struct worker *w = argument;

    for (long i = 0; i < w->exchanges; i++) {
        struct plan plan = plan_of(random_next(&w->random), MOST);
        struct exchange e;
        exchange_init(&e, &plan);
        enum outcome outcome = exchange_run(&e);
        if (outcome != GOOD)
            complain(w, &e, outcome);
        w->outcomes[outcome]++;
        w->requests += plan.style == KEPT ? 1 + plan.keepalive : 1;
        w->bytes += e.body;
    }
    return NULL;
}

static unsigned long fd_limit(void)
{
    struct rlimit limit;

    need(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    return limit.rlim_cur;
}

int alone(int argc, char **argv)
{
    unsigned long limit = fd_limit();
    static struct worker workers[THREADS_MAX];
    int threads = atoi(argv[0]), before = fds_open();
    long exchanges = argc > 1 ? atol(argv[1]) : 10, requests = 0, bytes = 0;

    need(threads > 0 && threads <= THREADS_MAX, "threads");
    for (int i = 0; i < threads; i++) {
        workers[i].number = i;
        workers[i].exchanges = exchanges;
        workers[i].random = (unsigned)i * 7919u + (argc > 2 ? (unsigned)atol(argv[2]) : 1);
        need(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "pthread_create");
    }
    for (int i = 0; i < threads; i++)
        need(pthread_join(workers[i].thread, NULL) == 0, "pthread_join");
    for (int outcome = 0; outcome < OUTCOMES; outcome++) {
        long sum = 0;
        for (int i = 0; i < threads; i++)
            sum += workers[i].outcomes[outcome];
        printf("%s %ld\n", outcome_name((enum outcome)outcome), sum);
    }
    for (int i = 0; i < threads; i++) {
        requests += workers[i].requests;
        bytes += workers[i].bytes;
    }
    printf("limit_changed %d\n", fd_limit() != limit);
    printf("requests %ld\nbytes %ld\nfds_left %d\nfds_in_all %d\n", requests, bytes, fds_open() - before, fds_in_all());
    return 0;
}
