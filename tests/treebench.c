/* What a connect costs a program: for scripts/bench-tree.
 *
 *   treebench lease HOST:PORT N     takes turns with another process, so that under holdfast each finds
 *                                   what the other has given back
 *   treebench nothing PORT N        connects each time to an address where nobody was before
 *
 * Prints nanoseconds, medians: connect (with its socket), close, and the whole request. */
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

enum { MOST = 100000, QUIET_US = 12000 };

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

static void request(const struct sockaddr_in *to, int i)
{
    static const char ask[] = "GET /bytes/10 HTTP/1.0\r\nHost: bench\r\n\r\n";
    char answer[4096];
    long begin = now_ns(), connected, answered;
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
        die("connect");
    connected = now_ns();
    if (send(fd, ask, sizeof(ask) - 1, 0) < 0)
        die("send");
    while ((n = recv(fd, answer, sizeof(answer), 0)) > 0)
        ;
    if (n < 0)
        die("recv");
    answered = now_ns();
    close(fd);
    connects[i] = connected - begin;
    closes[i] = now_ns() - answered;
    wholes[i] = now_ns() - begin;
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

/* One of the two that take turns: waits for a byte, asks, and passes the byte on. */
static void take_turns(const struct sockaddr_in *to, int n, int in, int out)
{
    char byte = 0;

    for (int i = 0; i < n && read(in, &byte, 1) == 1; i++) {
        usleep(QUIET_US);
        request(to, i);
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

static void nothing(struct sockaddr_in *to, int n)
{
    for (int i = 0; i < n; i++) {
        to->sin_addr.s_addr = htonl(0x7f010101U + (uint32_t)i);
        usleep(QUIET_US);
        request(to, i);
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
    if (strcmp(argv[1], "lease") == 0)
        lease(argv, &to, n);
    else
        nothing(&to, n);
    printf("{\"connect\": %ld, \"close\": %ld, \"whole\": %ld}\n", median(connects, n), median(closes, n),
           median(wholes, n));
    return 0;
}
