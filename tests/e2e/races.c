/* SPDX-License-Identifier: ISC */
/* What tests/e2e/e2e_leaks runs: threads, forks and programs that start others, against each other, with an exchange under
 * way.  Directly and under holdfast they print the same.
 *
 *     races WHICH ROUNDS PORT        PORT: an origin's on 127.0.0.1 (tests/origin/origin.c)
 *
 * One line, `WHICH: ROUNDS rounds`; or what went wrong, and exit status 1. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, LONG_S = 10 };

extern char **environ;

static struct sockaddr_in origin = { .sin_family = AF_INET };
static int rounds;
static atomic_int left;
static atomic_bool over;
static const char *self;
static struct rlimit own_limit;

static _Noreturn void fail(const char *what)
{
    char line[256];
    int len = snprintf(line, sizeof line, "%s (%s)\n", what, strerror(errno));

    if (write(STDOUT_FILENO, line, (size_t)len) < 0)
        _exit(3);
    _exit(1);
}

static void must(bool holds, const char *what)
{
    if (!holds)
        fail(what);
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    must(fd >= 0 && connect(fd, (struct sockaddr *)&origin, sizeof origin) == 0, "connect");
    return fd;
}

static void ask(int fd, const char *request)
{
    must(write(fd, request, strlen(request)) == (ssize_t)strlen(request), "write");
}

/* To the end; the bytes behind the head. */
static size_t drain(int fd)
{
    char all[4096];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof all - 1 && (n = read(fd, all + len, sizeof all - 1 - len)) > 0)
        len += (size_t)n;
    all[len] = '\0';
    char *body = strstr(all, "\r\n\r\n");
    return body ? len - (size_t)(body + 4 - all) : 0;
}

static const char get[] = "GET /bytes/10 HTTP/1.0\r\n\r\n";

static void exchange(void)
{
    int fd = dial();

    ask(fd, get);
    must(drain(fd) == 10, "an answer");
    close(fd);
}

/* The child's exit status; a child that takes LONG_S hangs. */
static int await(pid_t child)
{
    int status = 0;

    for (int ms = 0; waitpid(child, &status, WNOHANG) == 0; ms++) {
        if (ms >= LONG_S * 1000) {
            kill(child, SIGKILL);
            fail("a child hangs");
        }
        usleep(ms < 20 ? 100 : 1000);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void in_threads(void *(*run)(void *), int count)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < count; i++)
        must(pthread_create(&threads[i], NULL, run, NULL) == 0, "pthread_create");
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* Each thread parks, and forks while others are in the middle of the same. */
static void *fork_often(void *unused)
{
    while (atomic_fetch_sub(&left, 1) > 0) {
        exchange();
        pid_t child = fork();
        must(child >= 0, "fork");
        if (child == 0) {
            if (left % 8 == 0)
                exchange();
            _exit(0);
        }
        must(await(child) == 0, "a forked child");
    }
    return unused;
}

static void forks(void)
{
    in_threads(fork_often, THREADS);
}

/* A stream on a socket: fflush(NULL) writes to it, with the lock of all streams held, which fork(2) wants. */
static void *flush_often(void *unused)
{
    char body[4096];

    while (!atomic_load(&over)) {
        FILE *stream = fdopen(dial(), "r+");
        must(stream && fputs(get, stream) >= 0, "fputs");
        fflush(NULL);
        must(fread(body, 1, sizeof body, stream) > 10, "an answer to a stream");
        fclose(stream);
    }
    return unused;
}

static void *fork_only(void *unused)
{
    while (atomic_fetch_sub(&left, 1) > 0) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        must(child > 0 && await(child) == 0, "a forked child");
    }
    atomic_store(&over, true);
    return unused;
}

static void streams(void)
{
    static void *(*const all[])(void *) = { flush_often, flush_often, fork_only };
    enum { COUNT = sizeof all / sizeof *all };
    pthread_t threads[COUNT];

    alarm(3 * LONG_S + (unsigned)rounds / 10); /* SIGALRM ends what hangs */
    for (int i = 0; i < COUNT; i++)
        must(pthread_create(&threads[i], NULL, all[i], NULL) == 0, "pthread_create");
    for (int i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
}

/* A thread connects elsewhere for a request that must not go out on a connection that was used; the process forks
 * meanwhile, and the child writes on the same number. */
static int posting;
static void *post(void *unused)
{
    ask(posting, "POST /bytes/10 HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    return unused;
}

static void elsewhere(void)
{
    for (int i = 0; i < rounds; i++) {
        pthread_t thread;

        exchange();
        posting = dial();
        must(pthread_create(&thread, NULL, post, NULL) == 0, "pthread_create");
        usleep((useconds_t)(i % 8) * 100);
        pid_t child = fork();
        if (child == 0) {
            (void)!send(posting, "", 0, MSG_DONTWAIT); /* nothing: only whether it comes back counts */
            (void)!send(posting, "\r\n", 2, MSG_DONTWAIT | MSG_NOSIGNAL);
            _exit(0);
        }
        must(await(child) == 0, "a forked child");
        pthread_join(thread, NULL);
        close(posting);
    }
}

/* Threads connect elsewhere for a request that comes in pieces, while another one reads what has nothing: what was sent before
 * has to go out then. */
static void *post_in_pieces(void *unused)
{
    while (atomic_fetch_sub(&left, 1) > 0) {
        exchange();
        int fd = dial();
        ask(fd, "POST /bytes/10 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chu");
        ask(fd, "nked\r\n\r\n3\r\nabc\r");
        ask(fd, "\n0\r\n\r\n");
        must(drain(fd) == 10, "an answer to what came in pieces");
        close(fd);
    }
    return unused;
}

static void *read_nothing(void *ends)
{
    char byte;

    while (!over && read(*(int *)ends, &byte, 1) < 0)
        usleep(50);
    return ends;
}

static void pieces(void)
{
    pthread_t reader;
    int ends[2];

    must(pipe2(ends, O_NONBLOCK) == 0 && pthread_create(&reader, NULL, read_nothing, ends) == 0, "a pipe, and who reads it");
    in_threads(post_in_pieces, THREADS);
    over = true;
    pthread_join(reader, NULL);
}

/* What system and popen need is not to be seen by others. */
static void *read_environment(void *unused)
{
    while (!over) {
        must(!getenv("NOT_THERE") && !getenv("HOLDFAST_HANDOVER"), "a variable that is not the program's");
        for (char **entry = environ; *entry; entry++)
            must(strchr(*entry, '=') != NULL, "an entry of environ");
    }
    return unused;
}

static __attribute__((noinline)) void scribble(void)
{
    volatile char a[100000];

    for (size_t i = 0; i < sizeof a; i++)
        a[i] = 'A';
}

static void shells(void)
{
    pthread_t reader;
    int fd = dial();

    ask(fd, get);
    must(pthread_create(&reader, NULL, read_environment, NULL) == 0, "pthread_create");
    for (int i = 0; i < rounds; i++) {
        if (i % 2) {
            FILE *stream = popen("echo x", "r");
            must(stream && fgetc(stream) == 'x' && pclose(stream) == 0, "popen");
        } else {
            must(system(":") == 0, "system");
        }
        scribble();
    }
    over = true;
    pthread_join(reader, NULL);
    must(drain(fd) == 10, "the exchange that was under way");
}

/* Names of what a child has open, but for the first three and `known`. */
static int list_fds(int known)
{
    for (int fd = 3; fd < 64; fd++) {
        char path[32], target[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, target, sizeof target - 1);
        if (len <= 0 || fd == known)
            continue;
        target[len] = '\0';
        if (strstr(target, "memfd"))
            return 1;
    }
    return 0;
}

static void spawn_self(const char *how)
{
    char *words[] = { (char *)(uintptr_t)self, (char *)(uintptr_t)how, NULL }, *none[] = { NULL };
    pid_t child;

    must(posix_spawn(&child, self, NULL, NULL, words, none) == 0, "posix_spawn");
    must(await(child) == 0, how);
}

/* Like spawn_self, as others do it; its program must not get what another thread hands down. */
static void *fork_and_exec(void *unused)
{
    char *words[] = { (char *)(uintptr_t)self, (char *)(uintptr_t)"fds", NULL }, *none[] = { NULL };

    while (!over) {
        pid_t child = fork();
        if (child == 0) {
            execve(self, words, none);
            _exit(9);
        }
        must(await(child) == 0, "a descriptor that another program was meant to get");
    }
    return unused;
}

static void handovers(void)
{
    pthread_t other;
    int fd = dial();
    pid_t child;
    char *words[] = { (char *)(uintptr_t)"true", NULL };

    ask(fd, get);
    must(pthread_create(&other, NULL, fork_and_exec, NULL) == 0, "pthread_create");
    for (int i = 0; i < rounds; i++) {
        must(posix_spawn(&child, "/bin/true", NULL, NULL, words, environ) == 0, "posix_spawn");
        must(await(child) == 0, "true");
    }
    over = true;
    pthread_join(other, NULL);
    must(drain(fd) == 10, "the exchange that was under way");
    spawn_self("fds");
}

/* The program's own sockets come first, also where the library's numbers lie among them. */
static void *sleep_on(void *unused)
{
    while (!over)
        usleep(1000);
    return unused;
}

static void room(void)
{
    enum { IDLE = 24, SPARED = 12 };
    int fds[IDLE], high = (int)own_limit.rlim_cur, first = -1, fd;
    pthread_t sleeper;

    must(pthread_create(&sleeper, NULL, sleep_on, NULL) == 0, "pthread_create");
    for (int i = 0; i < rounds; i++) {
        exchange();
        for (int k = 0; k < IDLE; k++) {
            fds[k] = dial();
            ask(fds[k], get);
        }
        for (int k = 0; k < IDLE; k++) {
            must(drain(fds[k]) == 10, "an answer");
            close(fds[k]);
        }
        first = dup(0);
        close(first);
        int highest = -1; /* one that was let go for it comes last, and may be lower */
        while ((fd = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
            highest = fd > highest ? fd : highest;
        must(errno == EMFILE, "EMFILE");
        int found = 0;
        for (fd = first; fd < high; fd++)
            found += close(fd) == 0;
        must(found >= high - first - SPARED && highest >= high - SPARED, "room for sockets");
    }
    over = true;
    pthread_join(sleeper, NULL);
}

/* Nobody in this process ever meets another limit than the program's, nor a number beyond it. */
static void look_at_limit(void)
{
    struct rlimit now;

    must(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == own_limit.rlim_cur, "RLIMIT_NOFILE is another one");
}

static void *watch_limit(void *unused)
{
    while (!over) {
        look_at_limit();
        int fd = dup(STDIN_FILENO);
        must(fd >= 0 && fd < (int)own_limit.rlim_cur, "a number beyond the limit");
        close(fd);
    }
    return unused;
}

static void limits(void)
{
    pthread_t watcher;

    must(pthread_create(&watcher, NULL, watch_limit, NULL) == 0, "pthread_create");
    for (int i = 0; i < rounds; i++)
        exchange();
    over = true;
    pthread_join(watcher, NULL);
}

static void on_signal(int number)
{
    (void)number;
    look_at_limit();
}

static void handlers(void)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    const struct itimerspec often = { { 0, 200000 }, { 0, 200000 } };
    timer_t timer;

    sigaction(SIGUSR1, &action, NULL);
    must(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0, "timer");
    for (int i = 0; i < rounds; i++)
        exchange();
    timer_delete(timer);
}

/* In the vfork child: a pipe under a number that is its parent's exchange, or the library's, is the pipe. */
static _Noreturn void use_number(int pipe_end, int number)
{
    struct sockaddr_in name;
    socklen_t len = sizeof name;

    if (dup2(pipe_end, number) != number || write(number, "GET / HTTP/1.0\r\n", 10) != 10 ||
        getsockname(number, (struct sockaddr *)&name, &len) == 0 || fcntl(number, F_GETFL) < 0 || close(number) != 0)
        _exit(1);
    _exit(0);
}

static __attribute__((noinline)) int vfork_with(int pipe_end, int number)
{
    int status = 0;
    pid_t child = vfork();

    if (child == 0)
        use_number(pipe_end, number);
    must(waitpid(child, &status, 0) == child, "waitpid");
    return status;
}

static void vforks(void)
{
    int high = (int)(own_limit.rlim_cur < 1024 ? own_limit.rlim_cur : 1024) * 7 / 8; /* the library's lie there */

    for (int i = 0; i < rounds; i++) {
        int fd = dial(), ends[2];
        char said[16] = "";

        must(pipe(ends) == 0, "pipe");
        must(vfork_with(ends[1], i % 2 ? fd : high + i % 8) == 0, "a vfork child's own number");
        must(read(ends[0], said, sizeof said) == 10, "what it wrote");
        close(ends[0]), close(ends[1]);
        ask(fd, get);
        must(drain(fd) == 10, "the parent's exchange");
        close(fd);
    }
}

static volatile int current, handler_ends[2];

/* Wherever the signal finds its thread, in the middle of a call on `current` too. */
static void vfork_in_handler(int number)
{
    (void)number;
    must(vfork_with(handler_ends[1], current) == 0, "a vfork child's own number, in a handler");
}

static void interrupted(void)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct sigaction action = { .sa_handler = vfork_in_handler, .sa_flags = SA_RESTART };
    const struct itimerspec often = { { 0, 3000000 }, { 0, 3000000 } };
    int ends[2];
    timer_t timer;

    must(pipe2(ends, O_NONBLOCK) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "pipe, timer");
    handler_ends[1] = ends[1];
    for (int i = 0; i < rounds; i++) {
        int fd = current = dial();
        char said[4096];

        sigaction(SIGUSR1, &action, NULL);
        timer_settime(timer, 0, &often, NULL);
        ask(fd, get);
        must(drain(fd) == 10, "the parent's exchange");
        signal(SIGUSR1, SIG_IGN);
        close(fd);
        while (read(ends[0], said, sizeof said) > 0)
            ;
    }
    timer_delete(timer);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } all[] = { { "forks", forks }, { "elsewhere", elsewhere }, { "pieces", pieces }, { "shells", shells }, { "handovers", handovers },
                { "limits", limits }, { "handlers", handlers }, { "vforks", vforks },
                { "interrupted", interrupted }, { "streams", streams },
                { "room", room } };

    self = argv[0];
    if (argc == 2 && strcmp(argv[1], "fds") == 0)
        return list_fds(-1);
    if (argc != 4)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &own_limit);
    rounds = left = atoi(argv[2]);
    origin.sin_port = htons((uint16_t)atoi(argv[3]));
    origin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(argv[1], all[i].name) == 0) {
            all[i].run();
            printf("%s: %d rounds\n", all[i].name, rounds);
            return 0;
        }
    return 2;
}
