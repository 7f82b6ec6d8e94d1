/* SPDX-License-Identifier: ISC */
/* What a connect costs a program: for scripts/bench/bench-tree.
 *
 *   treebench lease HOST:PORT N     takes turns with another process, so that under holdfast each finds
 *                                   what the other has given back
 *   treebench burst HOST:PORT N     likewise, many at once: no cache is cold then
 *   treebench nothing PORT N        connects each time to an address where nobody was before, and asks
 *                                   for nothing
 *
 * Prints nanoseconds, of each the lower quartile, which leaves out what else the machine does: connect
 * (with its socket), close, and the whole request. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 100000, QUIET_US = 12000, BURST = 32 };

static long connects[MOST], closes[MOST], wholes[MOST];

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

static int timed_connect(const struct sockaddr_in *to, int i)
{
    long begin = now_ns();
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
        die("connect");
    connects[i] = now_ns() - begin;
    return fd;
}

static void ask_and_close(int fd, const char *path, int i)
{
    char ask[128], answer[4096];
    int len = snprintf(ask, sizeof(ask), "GET %s HTTP/1.0\r\nHost: bench\r\n\r\n", path);
    long answered;
    ssize_t n;

    if (send(fd, ask, (size_t)len, 0) < 0)
        die("send");
    while ((n = recv(fd, answer, sizeof(answer), 0)) > 0)
        ;
    if (n < 0)
        die("recv");
    answered = now_ns();
    close(fd);
    closes[i] = now_ns() - answered;
}

static void request(const struct sockaddr_in *to, const char *path, int i)
{
    long begin = now_ns();

    ask_and_close(timed_connect(to, i), path, i);
    wholes[i] = now_ns() - begin;
}

/* Many connections at once, one after the other. */
static void all_at_once(const struct sockaddr_in *to, int at)
{
    int fds[BURST];
    long begin = now_ns();

    for (int i = 0; i < BURST; i++)
        fds[i] = timed_connect(to, at + i);
    for (int i = 0; i < BURST; i++)
        ask_and_close(fds[i], "/bytes/10", at + i);
    for (int i = 0; i < BURST; i++)
        wholes[at + i] = (now_ns() - begin) / BURST;
}

static int by_size(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return x < y ? -1 : x > y;
}

static long quartile(long *times, int n)
{
    qsort(times, (size_t)n, sizeof(*times), by_size);
    return times[n / 4];
}

/* One of the two that take turns: waits for a byte, asks, and passes the byte on. */
static void take_turns(const struct sockaddr_in *to, int n, int in, int out)
{
    char byte = 0;

    for (int i = 0; i < n && read(in, &byte, 1) == 1; i++) {
        usleep(QUIET_US);
        request(to, "/bytes/10", i);
        if (write(out, &byte, 1) != 1)
            die("write");
    }
}

static void lease(char **argv, const struct sockaddr_in *to, int n)
{
    char in[12], out[12], first = 0;
    int there[2], back[2];
    pid_t child;

    if (pipe(there) < 0 || pipe(back) < 0)
        die("pipe");
    snprintf(in, sizeof(in), "%d", there[0]);
    snprintf(out, sizeof(out), "%d", back[1]);
    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", argv[0], "other", argv[2], argv[3], in, out, (char *)NULL);
        _exit(127);
    }
    if (write(there[1], &first, 1) != 1)
        die("write");
    take_turns(to, n, back[0], there[1]);
    waitpid(child, NULL, 0);
}

/* Before each round another process opens as many, and leaves what it has when it ends. */
static void burst(char **argv, const struct sockaddr_in *to, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        pid_t child = fork();

        if (child == 0) {
            execl("/proc/self/exe", argv[0], "once", argv[2], "1", (char *)NULL);
            _exit(127);
        }
        waitpid(child, NULL, 0);
        all_at_once(to, i * BURST);
    }
}

static void nothing(struct sockaddr_in *to, int n)
{
    for (int i = 0; i < n; i++) {
        to->sin_addr.s_addr = htonl(0x7f010101U + (uint32_t)i);
        close(timed_connect(to, i));
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    const char *port = argc > 3 ? strchr(argv[2], ':') : NULL;
    char host[64] = "127.0.0.1";
    int n;

    if (argc < 4)
        return 2;
    if (port != NULL)
        snprintf(host, sizeof(host), "%.*s", (int)(port - argv[2]), argv[2]);
    to.sin_port = htons((uint16_t)atoi(port != NULL ? port + 1 : argv[2]));
    n = atoi(argv[3]);
    if (n < 1 || n > MOST || inet_pton(AF_INET, host, &to.sin_addr) != 1)
        return 2;
    if (strcmp(argv[1], "other") == 0 && argc == 6) {
        take_turns(&to, n, atoi(argv[4]), atoi(argv[5]));
        return 0;
    }
    if (strcmp(argv[1], "once") == 0) {
        all_at_once(&to, 0);
        return 0;
    }
    if (strcmp(argv[1], "lease") == 0)
        lease(argv, &to, n);
    else if (strcmp(argv[1], "burst") == 0)
        burst(argv, &to, n = n < MOST / BURST ? n : MOST / BURST);
    else
        nothing(&to, n);
    n *= strcmp(argv[1], "burst") == 0 ? BURST : 1;
    printf("{\"connect\": %ld, \"close\": %ld, \"whole\": %ld}\n", quartile(connects, n), quartile(closes, n),
           quartile(wholes, n));
    return 0;
}
