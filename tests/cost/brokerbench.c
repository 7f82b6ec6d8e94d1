/* SPDX-License-Identifier: ISC */
/* What a lease from the broker costs when it has few and when it has many, for tests/broker/e2e_broker.  It is linked
 * with shim/pool, joins the broker that its environment leads to, and opens connections to itself.
 *
 *   brokerbench BROKER FEW MANY
 *
 * Prints JSON: for each number nanoseconds that an answer takes (medians), and the instructions and system
 * calls that the broker makes for one, counted step by step where ptrace lets us; and bytes of the broker's
 * memory for each connection. */
#define _GNU_SOURCE
#include "pool/beside.h"
#include "pool/broker.h"
#include "pool/tree_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST = 900, ENDPOINTS = 300, ASKS_MOST = 600, PATIENCE_S = 300, PATIENT_MS = 20000 };

static struct tree tree;
static struct sockaddr_in server;
static int listener, made;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_ms(void)
{
    return now_ns() / 1000000;
}

static void join(void)
{
    struct broker_place place;
    struct broker_door door = { &place, broker_place_namespace(), PATIENT_MS };
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int result = broker_place_find(&place, getenv("XDG_RUNTIME_DIR"), door.netns, false);
    if (result == 0)
        result = broker_join(&tree, &tree_calls_plain, &door, FIRST, O_CLOEXEC);
    errno = -result;
    if (result != 0)
        die("broker_join");
}

/* The kernel accepts for us; nobody takes what it has accepted, until there are too many. */
static void listen_here(void)
{
    socklen_t size = sizeof(server);

    server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&server, size) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&server, &size) < 0)
        die("listen");
}

/* As clients know it: endpoint n is address n of the loopback. */
static struct endpoint endpoint_number(int n)
{
    struct sockaddr_in to = server;
    struct endpoint e;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)n % ENDPOINTS);
    endpoint_from(&e, (struct sockaddr *)&to, sizeof(to));
    e.uid = geteuid();
    e.netns = broker_place_namespace();
    return e;
}

static int give_one(void)
{
    struct endpoint to = endpoint_number(made);
    struct idle idle = { .nonblocking = true, .max_left = -1, .idle_ms = 3600000, .requests = 1, .opened_ms = 1,
                         .parked_ms = now_ms() - 1000 };
    socklen_t size = sizeof(idle.cookie);

    idle.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (idle.fd < 0 || connect(idle.fd, (struct sockaddr *)&server, sizeof(server)) < 0)
        die("connect");
    if (accept4(listener, NULL, NULL, SOCK_CLOEXEC) < 0) /* stays open to the end */
        die("accept");
    getsockopt(idle.fd, SOL_SOCKET, SO_COOKIE, &idle.cookie, &size);
    int result = tree_return(&tree, &to, &idle);
    close(idle.fd);
    return result;
}

static unsigned held(void)
{
    struct broker_reply reply;
    struct broker_record record;
    unsigned all = 0;
    int file, result = broker_status(&tree, &reply, &file, PATIENT_MS);

    errno = -result;
    if (result != 0)
        die("broker_status");
    for (unsigned i = 0; i < reply.records; i++)
        if (pread(file, &record, sizeof(record), (off_t)(i * sizeof(record))) == sizeof(record))
            all += record.idle;
    close(file);
    return all;
}

static void fill(int wanted)
{
    uint64_t until = now_ms() + PATIENCE_S * 1000;
    const int batch = (int)tree.most - 8;

    while (made < wanted && now_ms() < until) {
        for (int i = 0; i < batch && made < wanted; i++) {
            if (give_one() != 0)
                die("tree_return");
            made++;
        }
        while (tree_count(&tree) > 0 && now_ms() < until)
            usleep(2000);
    }
    while (held() != (unsigned)wanted && now_ms() < until)
        usleep(10000);
}

/* As broker_ask, with patience, and the connection goes back. */
static uint64_t ask(int n)
{
    struct endpoint to = endpoint_number(n), its;
    struct wanted any = { .any = true };
    struct broker_request request;
    struct tree_message message;
    struct idle idle;
    int ends[2], on = 1, result;
    uint64_t begin = now_ns(), took;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ||
        setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        die("socketpair");
    const struct beside beside = { .fds = { ends[1] }, .count = 1 };
    const struct iovec piece = { &request, sizeof(request) };
    broker_request_write(&request, BROKER_ASK, &to, &any);
    result = beside_send(&tree_calls_plain, FIRST + TREE_LINE, &piece, &beside, NULL, 0);
    close(ends[1]);
    struct pollfd wait = { .fd = ends[0], .events = POLLIN };
    if (result == 0 && poll(&wait, 1, PATIENT_MS) == 1)
        result = tree_receive(&tree_calls_plain, ends[0], &message, &its, &idle, now_ms());
    took = now_ns() - begin;
    close(ends[0]);
    errno = -result;
    if (result != 0 || !endpoint_equal(&its, &to))
        die("nothing was given");
    result = tree_return(&tree, &to, &idle);
    close(idle.fd);
    return took;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t time_asks(int few, int many)
{
    static uint64_t took[ASKS_MOST];
    const int asks = many > ASKS_MOST ? ASKS_MOST : 60;

    for (int i = 0; i < asks; i++) {
        took[i] = ask(i % few);
        usleep(1000 + (i % few == few - 1 ? 250000 : 0)); /* it goes back to the broker meanwhile */
    }
    qsort(took, (size_t)asks, sizeof(*took), compare);
    return took[asks / 2];
}

struct steps {
    long instructions, syscalls;
};

static bool is_syscall(pid_t pid)
{
#if defined(__x86_64__)
    unsigned long at = (unsigned long)ptrace(PTRACE_PEEKUSER, pid, 16 * sizeof(long), 0);

    return (ptrace(PTRACE_PEEKTEXT, pid, at, 0) & 0xffff) == 0x050f;
#else
    (void)pid;
    return false;
#endif
}

static long stopped(pid_t pid)
{
    int status;

    return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status) ? status >> 16 : -1;
}

/* The broker step by step, while a child of ours asks once; ends when it has nothing more to do. */
static struct steps count_steps(pid_t broker, int n)
{
    struct steps steps = { 0, 0 };
    int way[2], status;
    char byte;

    if (ptrace(PTRACE_SEIZE, broker, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, broker, 0, 0) != 0 || stopped(broker) < 0 ||
        pipe2(way, O_NONBLOCK | O_CLOEXEC) < 0)
        return steps;
    pid_t child = fork();
    if (child == 0) {
        ask(n);
        _exit(write(way[1], "x", 1) != 1);
    }
    while (read(way[0], &byte, 1) != 1) {
        steps.syscalls += is_syscall(broker);
        if (ptrace(PTRACE_SINGLESTEP, broker, 0, 0) != 0 || stopped(broker) < 0)
            break;
        steps.instructions++;
    }
    ptrace(PTRACE_DETACH, broker, 0, 0);
    waitpid(child, &status, 0);
    close(way[0]);
    close(way[1]);
    return steps;
}

static long less(long most, long now)
{
    return most == 0 || now < most ? now : most;
}

/* The least of each of some: whatever else comes up at the time adds to one or the other. */
static struct steps least_steps(pid_t broker, int few)
{
    struct steps least = { 0, 0 };

    for (int i = 0; i < 5; i++) {
        usleep(400000);
        struct steps steps = count_steps(broker, i % few);
        if (steps.instructions > 0)
            least = (struct steps){ less(least.instructions, steps.instructions), less(least.syscalls, steps.syscalls) };
    }
    return least;
}

static long resident(pid_t pid)
{
    char path[64];
    long pages = 0;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        die(path);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void measure(const char *name, pid_t broker, int few, int many, const char *after)
{
    unsigned idle = held();
    uint64_t ns = time_asks(few, many);
    struct steps steps = least_steps(broker, few);

    printf("\"%s\":{\"idle\":%u,\"ns\":%llu,\"instructions\":%ld,\"syscalls\":%ld}%s", name, idle, (unsigned long long)ns,
           steps.instructions, steps.syscalls, after);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    pid_t broker = atoi(argv[1]);
    int few = atoi(argv[2]), many = atoi(argv[3]);

    join();
    listen_here();
    printf("{");
    fill(few);
    measure("few", broker, few, many, ",");
    long before = resident(broker);
    fill(many);
    long after = resident(broker);
    measure("many", broker, few, many, ",");
    printf("\"bytes_each\":%.1f}\n", (double)(after - before) / (many - few));
    return 0;
}
