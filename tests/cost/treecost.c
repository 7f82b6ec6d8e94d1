/* SPDX-License-Identifier: ISC */
/* What the tree's queue costs by itself, against a TCP connect on the loopback, in rounds that take turns:
 * for scripts/bench/bench-tree.  It is linked with shim/pool; the connections are given by another process.
 *
 *   treecost ROUNDS
 *
 * Prints nanoseconds, medians. */
#define _GNU_SOURCE
#include "pool/tree.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 10000, BATCH = 32, OTHERS = 6, FIRST = 900 };

static const struct tree_calls calls = {
    .socket = socket, .bind = bind, .connect = connect, .getsockname = getsockname, .getsockopt = getsockopt,
    .setsockopt = setsockopt, .sendmsg = sendmsg, .recvmsg = recvmsg, .recv = recv, .dup3 = dup3,
    .close = close,
};

static struct tree tree;
static struct sockaddr_in server;
static long given[MOST], taken[MOST], passed[MOST], empty[MOST], connected[MOST];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static long now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static uint64_t now_ms(void)
{
    return (uint64_t)now_ns() / 1000000;
}

static int listen_here(void)
{
    socklen_t size = sizeof(server);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (bind(fd, (struct sockaddr *)&server, size) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&server, &size) < 0)
        die("listen");
    return fd;
}

static int connect_one(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
        die("connect");
    return fd;
}

static void accept_and_close(int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        close(fd);
}

/* Endpoints that share a queue with the first, by trying ports. */
static struct endpoint endpoint_number(unsigned n)
{
    struct endpoint first, other;
    struct sockaddr_in at = server;

    endpoint_from(&first, (struct sockaddr *)&server, sizeof(server));
    for (unsigned port = 1; n > 0; port++) {
        at.sin_port = htons((uint16_t)port);
        endpoint_from(&other, (struct sockaddr *)&at, sizeof(at));
        if (endpoint_hash(&other) % TREE_QUEUES == endpoint_hash(&first) % TREE_QUEUES && --n == 0)
            return other;
    }
    return first;
}

static long give(const struct endpoint *to, int fd)
{
    struct idle idle = { .fd = fd, .nonblocking = true, .max_left = -1, .idle_ms = 60000, .requests = 1, .opened_ms = 1,
                         .parked_ms = now_ms() };
    socklen_t size = sizeof(idle.cookie);
    long begin;
    int result;

    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &idle.cookie, &size);
    begin = now_ns();
    result = tree_give(&tree, to, &idle, 64, now_ms());
    begin = now_ns() - begin;
    if (result < 0)
        fprintf(stderr, "tree_give: %d\n", result);
    return begin;
}

static long take(const struct endpoint *to, int *fd)
{
    struct wanted wanted = { .any = true };
    struct idle out = { .fd = -1 };
    long begin = now_ns();

    *fd = tree_take(&tree, to, &wanted, &out, now_ms()) == 0 ? out.fd : -1;
    return now_ns() - begin;
}

/* Another process gives; what that cost it comes by a pipe. */
static void give_by_another(const struct endpoint *to, int n, long *costs)
{
    int way[2], fd;
    pid_t child;

    if (pipe(way) < 0)
        die("pipe");
    child = fork();
    if (child == 0) {
        for (int i = 0; i < n; i++) {
            fd = connect_one();
            costs[i] = give(to, fd);
            close(fd);
        }
        _exit(write(way[1], costs, sizeof(*costs) * (size_t)n) < 0);
    }
    close(way[1]);
    if (read(way[0], costs, sizeof(*costs) * (size_t)n) < 0)
        die("read");
    close(way[0]);
    waitpid(child, NULL, 0);
}

static void take_all(const struct endpoint *to, long *costs)
{
    int fd;

    for (int i = 0; i < BATCH; i++) {
        costs[i] = take(to, &fd);
        if (fd < 0)
            die("nothing was taken");
        close(fd);
    }
}

/* A round: each cost BATCH times.  `at`: where in the tables. */
static void round_at(int at, int listener)
{
    struct endpoint to = endpoint_number(0), other;
    long unused[BATCH];
    int fd;

    for (int i = 0; i < BATCH; i++) {
        connected[at + i] = now_ns();
        fd = connect_one();
        connected[at + i] = now_ns() - connected[at + i];
        close(fd);
        empty[at + i] = take(&to, &fd);
    }
    accept_and_close(listener);
    give_by_another(&to, BATCH, given + at);
    take_all(&to, taken + at);
    for (unsigned i = 1; i <= OTHERS; i++) {
        other = endpoint_number(i);
        give_by_another(&other, 1, unused);
    }
    for (int i = 0; i < BATCH; i++)
        passed[at + i] = take(&to, &fd);
    for (unsigned i = 1; i <= OTHERS; i++) {
        other = endpoint_number(i);
        take(&other, &fd);
        close(fd);
    }
    accept_and_close(listener);
}

static int by_size(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return x < y ? -1 : x > y;
}

static long median(long *times, int n)
{
    qsort(times, (size_t)n, sizeof(*times), by_size);
    return times[n / 2];
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 20, n = rounds * BATCH, listener = listen_here();

    if (rounds < 1 || n > MOST)
        return 2;
    fcntl(listener, F_SETFL, O_NONBLOCK);
    if (tree_create(&tree, &calls, FIRST, TREE_MOST, geteuid()) != 0)
        die("tree_create");
    for (int i = 0; i < rounds; i++)
        round_at(i * BATCH, listener);
    printf("{\"connect\": %ld, \"give\": %ld, \"take\": %ld, \"empty\": %ld, \"others\": %ld}\n",
           median(connected, n), median(given, n), median(taken, n), median(empty, n), median(passed, n));
    return 0;
}
