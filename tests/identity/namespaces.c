/* SPDX-License-Identifier: ISC */
/* A program whose threads move between network namespaces, and make sockets in one that they connect, send on and
 * read in another: what tests/identity/e2e_namespaces runs, directly and under holdfast.
 *
 *     namespaces PORT COUNT SEED PID...       PID: a process that is in a namespace
 *
 * In each namespace a server answers on PORT with its name, 0 for the first.  A request says in which one its
 * socket was made, and the answer has to be from there.  Ends with 1 if one was not. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, PLACES_MOST = 8, HELD = 3 };

static int port, places, count, place_fds[PLACES_MOST];
static atomic_int faults;

static unsigned chance(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % n;
}

static void fault(const char *what, const char *more)
{
    char line[256]; /* no stream: a child of clone(2) may be born while another thread has it locked */
    int len = snprintf(line, sizeof line, "%d: %s %s\n", getpid(), what, more);

    if (write(STDERR_FILENO, line, (size_t)len) != len)
        faults++;
    faults++;
}

static void go_to(int place, unsigned *seed)
{
    int result = chance(seed, 2) ? setns(place_fds[place], CLONE_NEWNET)
                                 : (int)syscall(SYS_setns, place_fds[place], chance(seed, 2) ? CLONE_NEWNET : 0);
    if (result != 0)
        fault("setns", strerror(errno));
}

static int new_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int dial(int fd)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    return connect(fd, (struct sockaddr *)&to, sizeof to);
}

static void ask(int fd, int place, const char *method)
{
    char text[128];
    int len = snprintf(text, sizeof text, "%s /%d HTTP/1.0\r\nContent-Length: 0\r\n\r\n", method, place);

    if (write(fd, text, (size_t)len) != len)
        fault("write", strerror(errno));
}

static void hear(int fd, int place)
{
    char text[512];
    size_t got = 0;
    ssize_t n;

    while (got < sizeof text - 1 && (n = read(fd, text + got, sizeof text - 1 - got)) > 0)
        got += (size_t)n;
    text[got] = '\0';
    char *body = strstr(text, "\r\n\r\n");
    if (!body || atoi(body + 4) != place)
        fault("another's answer:", body ? body + 4 : "none");
    close(fd);
}

/* A namespace of this thread's alone, in which nobody listens. */
static void be_nowhere(unsigned *seed)
{
    if ((chance(seed, 2) ? unshare(CLONE_NEWNET) : (int)syscall(SYS_unshare, CLONE_NEWNET)) != 0) {
        fault("unshare", strerror(errno));
        return;
    }
    int fd = new_socket();
    if (dial(fd) == 0)
        fault("connected", "where nobody listens");
    close(fd);
}

/* Between each two steps the thread may move. */
static void exchange(int *at, unsigned *seed)
{
    const char *method = chance(seed, 4) ? "GET" : "POST"; /* which is never sent on an idle connection */
    int made_at = *at, fd = new_socket();

    for (int step = 0; step < 3; step++) {
        if (chance(seed, 3) == 0)
            go_to(*at = (int)chance(seed, (unsigned)places), seed);
        if (step == 0 && dial(fd) != 0) {
            fault("connect", strerror(errno));
            close(fd);
            return;
        }
        if (step == 1)
            ask(fd, made_at, method);
        if (step == 2)
            hear(fd, made_at);
    }
}

/* Sockets that lie about while their thread, or another one, moves. */
static void hoard(int *at, unsigned *seed)
{
    int fds[HELD], made_at[HELD];

    for (int i = 0; i < HELD; i++) {
        fds[i] = new_socket();
        made_at[i] = *at;
        go_to(*at = (int)chance(seed, (unsigned)places), seed);
    }
    for (int i = 0; i < HELD; i++) {
        if (dial(fds[i]) != 0)
            fault("connect", strerror(errno));
        ask(fds[i], made_at[i], "GET");
        hear(fds[i], made_at[i]);
    }
}

struct life {
    int at;
    unsigned seed;
    int rounds;
};

static int child(void *arg)
{
    struct life *life = arg;
    int fd = new_socket();

    if (dial(fd) == 0)
        fault("connected", "in a new namespace");
    close(fd);
    go_to(life->at, &life->seed);
    exchange(&life->at, &life->seed);
    _exit(faults != 0);
}

/* clone(2), and past libc. */
static void be_born_elsewhere(struct life *life)
{
    static _Thread_local _Alignas(16) char stack[128 * 1024];
    int status = 0;
    pid_t pid = chance(&life->seed, 2) ? clone(child, stack + sizeof stack, CLONE_NEWNET | SIGCHLD, life)
                                       : (pid_t)syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        child(life);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        fault("a child found faults,", pid < 0 ? strerror(errno) : "");
}

static void *live(void *arg)
{
    struct life *life = arg;

    for (int i = 0; i < life->rounds; i++) {
        unsigned what = chance(&life->seed, 16);
        if (what == 0)
            hoard(&life->at, &life->seed);
        else if (what == 1 && life->rounds > 1)
            be_born_elsewhere(life);
        else if (what == 2) {
            be_nowhere(&life->seed);
            go_to(life->at, &life->seed);
        } else
            exchange(&life->at, &life->seed);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    struct life lives[THREADS + 1];
    char path[64];

    if (argc < 5)
        return 2;
    port = atoi(argv[1]);
    count = atoi(argv[2]);
    for (places = 0; places < argc - 4 && places < PLACES_MOST; places++) {
        snprintf(path, sizeof path, "/proc/%s/ns/net", argv[4 + places]);
        place_fds[places] = open(path, O_RDONLY | O_CLOEXEC);
        if (place_fds[places] < 0)
            return 2;
    }
    for (int i = 0; i <= THREADS; i++)
        lives[i] = (struct life){ 0, (unsigned)atoi(argv[3]) + (unsigned)i * 7919u, count };
    live(&lives[THREADS]); /* alone, and then in company */
    for (int i = 0; i < THREADS; i++) {
        lives[i].at = lives[THREADS].at; /* where a new thread is */
        if (pthread_create(&threads[i], NULL, live, &lives[i]) != 0)
            return 2;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return faults ? 1 : 0;
}
