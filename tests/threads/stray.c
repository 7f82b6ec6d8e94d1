/* SPDX-License-Identifier: ISC */
/* Threads that read from numbers which are nobody's, while others talk.  Directly they find nothing there.
 *
 * Sockets are made between the rounds only.  In a round every request has another Host than the connection that
 * it would go out on, so that holdfast looks for a better one, in the queues of the tree, too: what it takes
 * there has the lowest free number for a moment.  Who reads it then must not wait on it: the answer to a later
 * request would be his. */
#define _GNU_SOURCE
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TALKERS = 8, STRAYS = 2, NUMBERS = 3, HOSTS = 5, MOST = 3000 };

static struct talker {
    struct exchange e;
    struct plan plan;
    unsigned random;
    enum outcome outcome;
} talkers[TALKERS];

static pthread_barrier_t round_begins, round_ends;
static atomic_bool over;
static atomic_int talking;
static atomic_long stolen, waited, met, outcomes[OUTCOMES];
static int lowest;

static void interrupted(int signo)
{
    (void)signo;
}

/* The request, for another host. */
static void rename_host(struct talker *t)
{
    char host[32];
    char *end = strstr(t->e.request, "Host: ");

    snprintf(host, sizeof host, "Host: h%u.test\r\n\r\n", random_next(&t->random) % HOSTS);
    t->e.request_len = (size_t)(stpcpy(end, host) - t->e.request);
}

static enum outcome talk(struct talker *t)
{
    struct exchange *e = &t->e;
    char buf[4096];
    ssize_t n = 1;

    if (send(e->fd, e->request, e->request_len, MSG_NOSIGNAL) != (ssize_t)e->request_len)
        return FAILED;
    while (n > 0 && !(t->plan.style == KEPT && exchange_complete(e))) {
        n = recv(e->fd, buf, sizeof buf, 0);
        enum outcome outcome = n > 0 ? exchange_feed(e, buf, (size_t)n) : GOOD;
        if (outcome != GOOD)
            return outcome;
    }
    return n < 0 ? FAILED : e->body == t->plan.size ? GOOD : TOO_SHORT;
}

static void *talker_work(void *argument)
{
    struct talker *t = argument;

    for (;;) {
        pthread_barrier_wait(&round_begins);
        if (over)
            return NULL;
        outcomes[talk(t)]++;
        talking--;
        pthread_barrier_wait(&round_ends);
    }
}

static void stray(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    stolen += n > 0;
    waited += n < 0 && errno == EINTR;
    met += n >= 0 || errno != EBADF;
}

static void *stray_work(void *unused)
{
    for (;;) {
        pthread_barrier_wait(&round_begins);
        if (over)
            return NULL;
        for (int i = 0; talking; i++)
            stray(lowest + i % NUMBERS);
        pthread_barrier_wait(&round_ends);
    }
}

static void begin(void)
{
    for (int i = 0; i < TALKERS; i++) {
        struct talker *t = &talkers[i];
        t->plan = plan_of(random_next(&t->random), MOST);
        t->plan.waits = BLOCKING;
        exchange_init(&t->e, &t->plan);
        rename_host(t);
        need(exchange_connect(&t->e) == 0, "connect");
    }
    lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
    close(lowest);
    talking = TALKERS;
}

/* Who waits on a number that is nobody's would wait for ever. */
static void finish(const pthread_t *strays)
{
    while (talking)
        sleep_us(200);
    sleep_us(500);
    for (int i = 0; i < STRAYS; i++)
        pthread_kill(strays[i], SIGUSR1);
    pthread_barrier_wait(&round_ends);
    for (int i = 0; i < TALKERS; i++)
        exchange_drop(&talkers[i].e);
    poll(NULL, 0, 1); /* who waits leaves the idle ones to the tree */
}

int stray_mode(int argc, char **argv)
{
    pthread_t threads[TALKERS], strays[STRAYS];
    struct sigaction action = { .sa_handler = interrupted };
    long rounds = atol(argv[0]);
    unsigned random = argc > 1 ? (unsigned)atol(argv[1]) : 1;
    int before = fds_open();

    sigaction(SIGUSR1, &action, NULL);
    pthread_barrier_init(&round_begins, NULL, TALKERS + STRAYS + 1);
    pthread_barrier_init(&round_ends, NULL, TALKERS + STRAYS + 1);
    for (int i = 0; i < TALKERS; i++) {
        talkers[i].random = random_next(&random);
        need(pthread_create(&threads[i], NULL, talker_work, &talkers[i]) == 0, "pthread_create");
    }
    for (int i = 0; i < STRAYS; i++)
        need(pthread_create(&strays[i], NULL, stray_work, NULL) == 0, "pthread_create");
    while (rounds--) {
        begin();
        pthread_barrier_wait(&round_begins);
        finish(strays);
    }
    over = true;
    pthread_barrier_wait(&round_begins);
    for (int i = 0; i < TALKERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < STRAYS; i++)
        pthread_join(strays[i], NULL);
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s %ld\n", outcome_name((enum outcome)i), outcomes[i]);
    printf("stolen %ld\nwaited %ld\nmet %ld\n", stolen, waited, met);
    printf("fds_left %d\nfds_in_all %d\n", fds_open() - before, fds_in_all());
    return 0;
}
