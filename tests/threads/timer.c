/* SPDX-License-Identifier: ISC */
/* A timer signal while exchanges are under way, and handlers that use sockets themselves. */
#define _GNU_SOURCE
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { TICK_US = 1000, VICTIMS = 4, MOST = 30000 };
enum kind { COUNT, RESTART, REQUEST, READ, CLOSE, VICTIM, THREADS };

static const char *const kinds[] = { "count", "restart", "request", "read", "close", "victims", "threads" };
static enum kind kind;
static atomic_long ticks, handled, handler_bad[OUTCOMES];
static struct interrupted interrupted;
static atomic_int victims[VICTIMS];

/* The socket of the exchange that is interrupted, and what the handler did to it. */
static struct exchange *volatile current;
static volatile long stolen, stolen_wrong;
static volatile sig_atomic_t closed_it;

static void arm(void)
{
    /* Again when the handler has ended: one that takes longer than a tick leaves time for the rest. */
    const struct itimerval once = { .it_value = { 0, TICK_US } };
    const struct itimerval often = { { 0, TICK_US }, { 0, TICK_US } };

    setitimer(ITIMER_REAL, kind == REQUEST ? &once : &often, NULL);
}

static void request(void)
{
    static unsigned random = 99;
    struct plan plan = plan_of(random_next(&random), 2000);
    struct exchange e;

    plan.pieces = false;
    exchange_init(&e, &plan);
    handler_bad[exchange_run(&e)]++;
    handled++;
}

static void close_victim(void)
{
    static unsigned turn;
    int fd = atomic_exchange(&victims[turn++ % VICTIMS], -1);

    if (fd >= 0) {
        close(fd);
        handled++;
    }
}

/* What the handler reads of the body is counted as read there: the sum has to be right. */
static void read_current(void)
{
    struct exchange *e = current;
    char buf[64];

    if (!e || ticks % 3)
        return;
    current = NULL;
    ssize_t n = recv(e->fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n > 0) {
        stolen += n;
        handled++;
    }
    current = e;
}

static void close_current(void)
{
    struct exchange *e = current;

    if (!e || ticks % 5)
        return;
    current = NULL;
    closed_it = 1;
    close(atomic_exchange(&e->fd, -1));
    handled++;
}

static void handler(int number)
{
    int saved = errno;

    ticks++;
    if (kind == REQUEST)
        request();
    if (kind == VICTIM)
        close_victim();
    if (kind == READ)
        read_current();
    if (kind == CLOSE)
        close_current();
    if (kind == REQUEST)
        arm();
    errno = saved;
}

static void start(void)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = kind == COUNT ? 0 : SA_RESTART };

    need(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    arm();
}

static void stop(void)
{
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    sigset_t set;

    setitimer(ITIMER_REAL, &never, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* A socket in any state of its exchange, for the handler to close. */
static void offer_victim(unsigned *random)
{
    int i = (int)(random_next(random) % VICTIMS);

    if (victims[i] >= 0)
        return;
    struct plan plan = plan_of(random_next(random), MOST);
    struct exchange e;
    exchange_init(&e, &plan);
    need(exchange_connect(&e) == 0, "connect");
    if (random_next(random) % 3) {
        size_t part = random_next(random) % 3 ? e.request_len : random_next(random) % e.request_len;
        if (send(e.fd, e.request, part, MSG_NOSIGNAL) < 0)
            errno = 0;
    }
    if (e.epfd >= 0)
        close(e.epfd);
    victims[i] = e.fd;
}

/* Only bytes are counted: the handler has some of them. */
static enum outcome run_stolen(const struct plan *plan)
{
    struct exchange e;
    char buf[4096];
    long total = 0, left;
    ssize_t n;

    exchange_init(&e, plan);
    if (exchange_connect(&e) != 0 || send(e.fd, e.request, e.request_len, MSG_NOSIGNAL) != (ssize_t)e.request_len)
        return FAILED;
    while (!e.in_body && (n = recv(e.fd, buf, 1, 0)) > 0)
        exchange_feed(&e, buf, 1);
    stolen = 0;
    current = &e;
    while ((n = recv(e.fd, buf, 1 + plan->seed % sizeof buf, 0)) > 0)
        total += n;
    current = NULL;
    left = plan->size - total - stolen;
    exchange_drop(&e);
    return n < 0 ? FAILED : left > 0 ? TOO_SHORT : left < 0 ? TOO_LONG : GOOD;
}

static enum outcome run_closed(const struct plan *plan)
{
    struct exchange e;

    exchange_init(&e, plan);
    closed_it = 0;
    if (exchange_connect(&e) != 0)
        return FAILED;
    int fd = e.fd;
    char buf[4096];
    ssize_t n = 0;
    enum outcome outcome = GOOD;
    current = &e;
    for (size_t sent = 0; sent < e.request_len && n >= 0; sent += (size_t)n)
        n = send(fd, e.request + sent, e.request_len - sent > 50 ? 50 : e.request_len - sent, MSG_NOSIGNAL);
    while (n >= 0 && (n = recv(fd, buf, sizeof buf, 0)) > 0 && outcome == GOOD)
        outcome = exchange_feed(&e, buf, (size_t)n);
    current = NULL;
    int error = errno;
    exchange_drop(&e);
    if (outcome != GOOD)
        return outcome;
    if (n < 0)
        return closed_it && error == EBADF ? GOOD : FAILED;
    return e.body == plan->size ? GOOD : TOO_SHORT;
}

static void *work(void *argument)
{
    unsigned random = (unsigned)(intptr_t)argument;
    long exchanges = random >> 16;
    intptr_t bad = 0;

    for (long i = 0; i < exchanges; i++) {
        struct plan plan = plan_of(random_next(&random), MOST);
        struct exchange e;
        exchange_init(&e, &plan);
        e.interrupted = &interrupted;
        bad += exchange_run(&e) != GOOD;
    }
    return (void *)bad;
}

static enum outcome run_one(unsigned *random)
{
    struct plan plan = plan_of(random_next(random), MOST);
    struct exchange e;

    plan.stall_ms = random_next(random) % 3 == 0 ? 4 : 0; /* so that signals fall into waits */
    if (kind == VICTIM)
        offer_victim(random);
    if (kind == READ || kind == CLOSE) {
        plan.waits = BLOCKING;
        plan.style = plan.style == KEPT ? ONE_SHOT_11 : plan.style;
        plan.chunked = false;
        return kind == READ ? run_stolen(&plan) : run_closed(&plan);
    }
    exchange_init(&e, &plan);
    e.interrupted = &interrupted;
    enum outcome outcome = exchange_run(&e);
    if (outcome != GOOD)
        fprintf(stderr, "%s %s %s style %d waits %d seed %u\n", outcome_name(outcome), e.call ? e.call : "",
                e.error ? strerror(e.error) : "", plan.style, plan.waits, plan.seed);
    return outcome;
}

static void run_threads(long exchanges, long outcomes[OUTCOMES])
{
    pthread_t threads[16];
    void *bad;

    for (unsigned i = 0; i < 16; i++)
        need(pthread_create(&threads[i], NULL, work, (void *)(intptr_t)((unsigned)exchanges << 16 | (i + 1))) == 0,
             "pthread_create");
    for (int i = 0; i < 16; i++) {
        pthread_join(threads[i], &bad);
        outcomes[FAILED] += (long)(intptr_t)bad;
        outcomes[GOOD] += exchanges - (long)(intptr_t)bad;
    }
}

int timer(int argc, char **argv)
{
    long exchanges = argc > 1 ? atol(argv[1]) : 100, outcomes[OUTCOMES] = { 0 };
    unsigned random = argc > 2 ? (unsigned)atol(argv[2]) : 1;

    while (kind < THREADS && strcmp(argv[0], kinds[kind]) != 0)
        kind++;
    int before = fds_open();
    for (int i = 0; i < VICTIMS; i++)
        victims[i] = -1;
    start();
    if (kind == THREADS)
        run_threads(exchanges, outcomes);
    for (long i = 0; i < exchanges && kind != THREADS; i++)
        outcomes[run_one(&random)]++;
    stop();
    for (int i = 0; i < VICTIMS; i++)
        if (victims[i] >= 0)
            close(victims[i]);
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s %ld\nin_handler_%s %ld\n", outcome_name((enum outcome)i), outcomes[i],
               outcome_name((enum outcome)i), handler_bad[i]);
    printf("eintr_connect %ld\neintr_send %ld\neintr_recv %ld\neintr_wait %ld\n", interrupted.connect,
           interrupted.send, interrupted.recv, interrupted.wait);
    printf("ticks %ld\nhandled %ld\nfds_left %d\nfds_in_all %d\n", ticks, handled, fds_open() - before, fds_in_all());
    return 0;
}
