/* SPDX-License-Identifier: ISC */
/* Four threads at one socket: one writes the request, one waits, one reads, one closes, shuts down, or
 * puts another file there, at its end or at any moment before.  What came of it is put into classes, which are
 * counted: those of a direct run are what is allowed.
 *
 * Sockets are made between the rounds only, so that a number that was closed is nobody else's in a round. */
#define _GNU_SOURCE
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/older_libc.h"

enum { GROUPS_MAX = 64, CLASSES_MAX = 4096, WAIT_MS = 8000, TURN_MS = 20, SLOW_MS = 4500, COPIES = 500, STUCK_MS = 20000 };
enum action { AT_END, CLOSES, SHUTS_RD, SHUTS_WR, SHUTS_BOTH, DUPS, DUP2S, ACTIONS };

static const char *const actions[] = { "end", "close", "shut_rd", "shut_wr", "shut_both", "dup_close", "dup2" };
static const char *const waits[] = { "blocks", "poll", "epoll", "epoll_et" };

struct group {
    struct exchange e;
    struct plan plan;
    enum action action;
    long delay_us, took_ms;
    unsigned writes_random, reads_random;
    atomic_int copy; /* of the socket, where its first number goes; -1 */
    atomic_bool read_over;
    bool spins; /* the reader, until there is something: it asks all the time, also when the request goes out */
    sem_t readable, again, read, written;
    char reader[40], writer[40], waiter[40];
    pthread_t threads[4];
};

static struct group groups[GROUPS_MAX];
static int groups_count, null_fd;
static long slow;
static pthread_barrier_t round_begins, round_ends;
static atomic_bool over;
static atomic_long progress_ms;

static struct {
    char name[160];
    long count;
} classes[CLASSES_MAX];

static void count_class(const char *name)
{
    int i = 0;

    while (i < CLASSES_MAX - 1 && classes[i].count && strcmp(classes[i].name, name) != 0)
        i++;
    snprintf(classes[i].name, sizeof classes[i].name, "%s", name);
    classes[i].count++;
}

/* ThreadSanitizer opens /proc/self/maps and what it reads symbols from while it writes a report, under the lowest free
 * numbers.  These have to be some that nobody has closed in the round: a reader would find a file there. */
#ifdef __SANITIZE_THREAD__
enum { HOLES = 16 };
#else
enum { HOLES = 0 };
#endif
static int holes[HOLES + 1];

static void fill_holes(void)
{
    for (int i = 0; i < HOLES; i++)
        holes[i] = fcntl(null_fd, F_DUPFD_CLOEXEC, 0);
}

static void open_holes(void)
{
    for (int i = 0; i < HOLES; i++)
        close(holes[i]);
}

/* The number that leads to the socket now. */
static int number(struct group *g)
{
    int copy = g->copy;

    return copy >= 0 ? copy : g->e.fd;
}

/* A call on a number that has gone, while there is a copy: it is made again on that. */
static bool moved(struct group *g, int fd)
{
    return errno == EBADF && g->action == DUPS && number(g) != fd;
}

/* The socket goes while somebody may wait on it.  If nobody had asked for anything yet, he would wait for
 * ever: the request goes first. */
static bool goes(const struct group *g)
{
    return g->action == CLOSES || g->action == DUP2S;
}

static void send_all(struct group *g)
{
    size_t sent = 0;

    snprintf(g->writer, sizeof g->writer, "sent");
    while (sent < g->e.request_len) {
        size_t n = 1 + random_next(&g->writes_random) % g->e.request_len;
        int fd = number(g);
        ssize_t got = send(fd, g->e.request + sent, n < g->e.request_len - sent ? n : g->e.request_len - sent, MSG_NOSIGNAL);
        if (got > 0) {
            sent += (size_t)got;
        } else if (errno != EAGAIN && errno != EINTR && !moved(g, fd)) {
            snprintf(g->writer, sizeof g->writer, "%s", strerrorname_np(errno));
            return;
        }
        if (random_next(&g->writes_random) % 3 == 0)
            sleep_us(random_next(&g->writes_random) % 200);
    }
}

static void writes(struct group *g)
{
    send_all(g);
    sem_post(&g->written);
}

/* One wait for input; the events, 0 after a long time, or -errno. */
static int wait_once(struct group *g)
{
    struct epoll_event event = { 0 };
    struct pollfd p = { .fd = number(g), .events = POLLIN };
    bool by_epoll = g->plan.waits >= BY_EPOLL;
    long end = now_ms() + WAIT_MS;

    for (;;) {
        int n = by_epoll ? epoll_wait(g->e.epfd, &event, 1, TURN_MS) : poll(&p, 1, TURN_MS);
        if (n != 0)
            return n < 0 ? -errno : by_epoll ? (int)event.events : p.revents;
        if (g->read_over || (goes(g) && by_epoll)) /* epoll(7): a closed one has no events */
            return POLLIN;
        if (now_ms() > end)
            return 0;
    }
}

static void awaits(struct group *g)
{
    snprintf(g->waiter, sizeof g->waiter, "woken");
    if (g->plan.waits != BLOCKING) /* else the reader does not need to be told */
        sem_wait(&g->again);
    while (!g->read_over) {
        if (wait_once(g) == 0)
            snprintf(g->waiter, sizeof g->waiter, "slept");
        if (g->plan.waits == BLOCKING)
            return;
        sem_post(&g->readable);
        sem_wait(&g->again);
    }
}

/* Of the reader: what it has, and how it ended. */
static void conclude(struct group *g, const char *end)
{
    const struct exchange *e = &g->e;
    bool all = e->in_body && e->body == g->plan.size;

    snprintf(g->reader, sizeof g->reader, "%s+%s", all ? "all" : e->head_len ? "part" : "none", end);
}

/* False: it is over. */
static bool read_once(struct group *g)
{
    char buf[8192];
    int fd = number(g);
    size_t room = 1 + random_next(&g->reads_random) % sizeof buf;
    ssize_t n = recv(fd, buf, room, 0);

    if (n == 0)
        conclude(g, "end");
    if (n > 0) {
        enum outcome outcome = exchange_feed(&g->e, buf, (size_t)n);
        if (outcome != GOOD) {
            conclude(g, outcome_name(outcome));
            fprintf(stderr, "%s at byte %ld of %ld, asked by\n%.200s\nhead\n%.*s\n", outcome_name(outcome),
                    g->e.body, g->plan.size, g->e.request, (int)g->e.head_len, g->e.head);
        }
        if (outcome == GOOD && !(g->plan.style == KEPT && exchange_complete(&g->e)))
            return true;
        if (outcome == GOOD)
            conclude(g, "length");
    }
    if (n < 0 && errno == EAGAIN && g->spins && g->e.head_len == 0)
        return true;
    if (n < 0 && errno == EAGAIN && g->plan.waits != BLOCKING) {
        sem_post(&g->again);
        sem_wait(&g->readable);
        return true;
    }
    if (n < 0 && moved(g, fd))
        return true;
    if (n < 0)
        conclude(g, strerrorname_np(errno));
    return false;
}

static void reads(struct group *g)
{
    long began = now_ms();

    while (read_once(g))
        ;
    g->took_ms = now_ms() - began;
    g->read_over = true;
    sem_post(&g->again);
    sem_post(&g->read);
}

static void acts(struct group *g)
{
    int fd = g->e.fd;

    if (g->action == AT_END || goes(g))
        sem_wait(g->action == AT_END ? &g->read : &g->written);
    if (g->action != AT_END)
        sleep_us(g->delay_us);
    switch (g->action) {
    case AT_END:
    case CLOSES:
        close(fd);
        break;
    case DUPS:
        g->copy = fcntl(fd, F_DUPFD_CLOEXEC, COPIES + fd); /* not a number that another group has closed */
        close(fd);
        break;
    case DUP2S:
        dup2(null_fd, fd);
        break;
    default:
        shutdown(fd, g->action == SHUTS_RD ? SHUT_RD : g->action == SHUTS_WR ? SHUT_WR : SHUT_RDWR);
    }
}

static void *part(void *argument)
{
    static void (*const roles[])(struct group *g) = { writes, awaits, reads, acts };
    int number = (int)(intptr_t)argument;

    for (;;) {
        pthread_barrier_wait(&round_begins);
        if (over)
            return NULL;
        roles[number % 4](&groups[number / 4]);
        pthread_barrier_wait(&round_ends);
    }
}

static void *watch(void *unused)
{
    while (!over) {
        sleep_us(100000);
        if (now_ms() - progress_ms < STUCK_MS)
            continue;
        for (int i = 0; i < groups_count; i++)
            if (!groups[i].read_over)
                printf("stuck %s %s after %ld us, %ld bytes\n", waits[groups[i].plan.waits],
                       actions[groups[i].action], groups[i].delay_us, groups[i].e.body);
        fflush(stdout);
        _exit(3);
    }
    return NULL;
}

static void begin(struct group *g, unsigned *random)
{
    g->plan = plan_of(random_next(random), 40000);
    g->plan.stall_ms = random_next(random) % 4 == 0 ? 2 : 0;
    g->action = (enum action)(random_next(random) % ACTIONS);
    g->delay_us = random_next(random) % 2 ? random_next(random) % 400 : random_next(random) % 3000;
    g->writes_random = random_next(random);
    g->reads_random = random_next(random);
    g->spins = g->plan.waits != BLOCKING && g->reads_random % 4 == 0;
    g->copy = -1;
    g->read_over = false;
    sem_init(&g->readable, 0, 0);
    sem_init(&g->again, 0, 0);
    sem_init(&g->read, 0, 0);
    sem_init(&g->written, 0, 0);
    exchange_init(&g->e, &g->plan);
    need(exchange_connect(&g->e) == 0, "connect");
}

static void end(struct group *g)
{
    char name[150];
    snprintf(name, sizeof name, "%s %s %s %s %s", waits[g->plan.waits], actions[g->action], g->reader, g->writer,
             g->waiter);
    count_class(name);
    if (g->took_ms > SLOW_MS) {
        slow++;
        fprintf(stderr, "%ld ms: %s style %d after %ld us chunked %d stall %ld, %ld of %ld bytes\n", g->took_ms, name,
                g->plan.style, g->delay_us, g->plan.chunked, g->plan.stall_ms, g->e.body, g->plan.size);
    }
    if (g->copy >= 0)
        close(g->copy);
    if (g->action == AT_END || g->action == CLOSES || g->action == DUPS)
        g->e.fd = -1;
    exchange_drop(&g->e);
}

int shared(int argc, char **argv)
{
    long rounds = atol(argv[0]);
    unsigned random = argc > 2 ? (unsigned)atol(argv[2]) : 1;
    pthread_t watcher;

    groups_count = argc > 1 ? atoi(argv[1]) : 8;
    need(groups_count > 0 && groups_count <= GROUPS_MAX, "groups");
    int before = fds_open();
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    pthread_barrier_init(&round_begins, NULL, (unsigned)groups_count * 4 + 1);
    pthread_barrier_init(&round_ends, NULL, (unsigned)groups_count * 4 + 1);
    progress_ms = now_ms();
    need(pthread_create(&watcher, NULL, watch, NULL) == 0, "pthread_create");
    for (int i = 0; i < groups_count * 4; i++)
        need(pthread_create(&groups[i / 4].threads[i % 4], NULL, part, (void *)(intptr_t)i) == 0, "pthread_create");
    for (long round = 0; round < rounds; round++) {
        progress_ms = now_ms();
        fill_holes();
        for (int i = 0; i < groups_count; i++)
            begin(&groups[i], &random);
        open_holes();
        pthread_barrier_wait(&round_begins);
        pthread_barrier_wait(&round_ends);
        for (int i = 0; i < groups_count; i++)
            end(&groups[i]);
    }
    over = true;
    pthread_barrier_wait(&round_begins);
    for (int i = 0; i < groups_count * 4; i++)
        pthread_join(groups[i / 4].threads[i % 4], NULL);
    pthread_join(watcher, NULL);
    for (int i = 0; classes[i].count; i++)
        printf("class %s %ld\n", classes[i].name, classes[i].count);
    close(null_fd);
    printf("slow %ld\n", slow);
    printf("fds_left %d\nfds_in_all %d\n", fds_open() - before, fds_in_all());
    return 0;
}
