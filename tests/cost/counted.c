/* SPDX-License-Identifier: ISC */
/* A client for scripts/bench/bench-count, that does nothing but what is counted: TIMES an exchange of its own
 * (socket, connect, write, read to the end, close), in each of THREADS threads, while OPEN other TCP sockets
 * are open.
 *
 *   counted PORT TIMES [OPEN [THREADS]]
 *   counted PORT TIMES paused    sleeps before each exchange: whatever is idle is given away
 *   counted PORT COUNT left      has COUNT connections, calls getppid(2), then has their exchanges, and then closes them
 *   counted memory COUNT         bytes for each of COUNT open TCP sockets */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS_MOST = 64, PAUSE_US = 30000 };

static const char request[] = "GET /bytes/100 HTTP/1.0\r\nHost: 127.0.0.1\r\nUser-Agent: counted\r\nAccept: */*\r\n\r\n";
static struct sockaddr_in server;
static long times;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int opened(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) != 0)
        die("connect");
    return fd;
}

static void ask(int fd)
{
    char answer[8192];
    size_t got = 0;
    ssize_t n;

    if (write(fd, request, sizeof request - 1) != sizeof request - 1)
        die("write");
    while ((n = read(fd, answer + got, sizeof answer - got)) > 0)
        got += (size_t)n;
    if (n < 0 || got < 100 || memcmp(answer, "HTTP/1.1 200", 12) != 0)
        die("read");
}

static void exchange(void)
{
    int fd = opened();

    ask(fd);
    close(fd);
}

static void *exchanges(void *unused)
{
    for (long i = 0; i < times; i++)
        exchange();
    return unused;
}

static int exchanges_paused(void)
{
    for (long i = 0; i < times; i++) {
        usleep(PAUSE_US);
        exchange();
    }
    return 0;
}

static void allow_many(void)
{
    struct rlimit most;

    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max < 65536 ? most.rlim_max : 65536;
    setrlimit(RLIMIT_NOFILE, &most);
}

static int exchanges_left(void)
{
    int *fds = calloc((size_t)times, sizeof *fds);

    if (!fds)
        die("calloc");
    allow_many();
    for (long i = 0; i < times; i++)
        fds[i] = opened();
    getppid();
    for (long i = 0; i < times; i++)
        ask(fds[i]);
    for (long i = 0; i < times; i++)
        close(fds[i]);
    free(fds);
    return 0;
}

static void open_sockets(long count)
{
    allow_many();
    for (long i = 0; i < count; i++)
        if (socket(AF_INET, SOCK_STREAM, 0) < 0)
            die("socket");
}

/* COUNTED_CHANGED=user or network: as a program does that has changed it, to what it was. */
static void change(const char *what)
{
    if (what && strcmp(what, "user") == 0 && seteuid(geteuid()) != 0)
        die("seteuid");
    if (!what || strcmp(what, "network") != 0)
        return;
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (here < 0 || setns(here, CLONE_NEWNET) != 0)
        die("setns");
    close(here);
}

static long resident(void)
{
    long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
        die("statm");
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MOST];
    long count = argc > 4 ? atol(argv[4]) : 1;

    if (argc < 3 || count < 1 || count > THREADS_MOST)
        return 2;
    times = atol(argv[2]);
    if (strcmp(argv[1], "memory") == 0) {
        long before = resident();
        open_sockets(times);
        printf("%ld\n", (resident() - before) / times);
        return 0;
    }
    server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])) };
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc > 3 && strcmp(argv[3], "paused") == 0)
        return exchanges_paused();
    if (argc > 3 && strcmp(argv[3], "left") == 0)
        return exchanges_left();
    open_sockets(argc > 3 ? atol(argv[3]) : 0);
    change(getenv("COUNTED_CHANGED"));
    if (count == 1)
        return exchanges(NULL) != NULL;
    for (long i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, exchanges, NULL) != 0)
            die("pthread_create");
    for (long i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
