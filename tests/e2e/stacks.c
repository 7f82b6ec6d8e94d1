/* SPDX-License-Identifier: ISC */
/* Requests, and programs that are started, where there is little stack: coroutines, threads, handlers on another stack.
 *
 *     stacks PORT coroutine SIZE       20 requests on a stack of so many bytes, below which nothing can be written
 *     stacks PORT thread               the same in a thread of PTHREAD_STACK_MIN bytes that reads into 8 KiB of its own
 *     stacks PORT handler              one in a signal handler on a stack of 8 KiB
 *     stacks - fork|vfork|spawn SIZE VARIABLES    a thread of so many bytes starts true(1), with so many variables
 *
 * Status 0: all went well. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern char **environ;

enum { TIMES = 20, BODY = 8192, PAGE = 4096 };

static const char *how;
static int port, status;
static ucontext_t outside, coroutine;

static int request(char *answer, size_t room)
{
    static const char text[] = "GET /bytes/10 HTTP/1.0\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
    struct pollfd wait = { .events = POLLIN };
    size_t got = 0;
    ssize_t n;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    wait.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (wait.fd < 0 || connect(wait.fd, (struct sockaddr *)&to, sizeof to) != 0)
        return 2;
    if (send(wait.fd, text, sizeof text - 1, MSG_NOSIGNAL) != (ssize_t)sizeof text - 1 || poll(&wait, 1, 5000) != 1)
        return 3;
    while ((n = read(wait.fd, answer + got, room - 1 - got)) > 0)
        got += (size_t)n;
    answer[got] = '\0';
    close(wait.fd);
    return n == 0 && strstr(answer, " 200 ") && strstr(answer, "\r\n\r\n") ? 0 : 4;
}

static void requests(void)
{
    static char answer[BODY];

    for (int i = 0; i < TIMES && status == 0; i++)
        status = request(answer, sizeof answer);
}

static void on_coroutine(size_t size)
{
    char *stack = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE) != 0 || getcontext(&coroutine) != 0)
        exit(9);
    coroutine.uc_stack.ss_sp = stack + PAGE;
    coroutine.uc_stack.ss_size = size;
    coroutine.uc_link = &outside;
    makecontext(&coroutine, requests, 0);
    swapcontext(&outside, &coroutine);
}

static void *in_thread(void *unused)
{
    char answer[BODY];

    for (int i = 0; i < TIMES && status == 0; i++)
        status = request(answer, sizeof answer);
    return unused;
}

static void handler(int number)
{
    static char answer[BODY];

    (void)number;
    status = request(answer, sizeof answer);
}

static void on_other_stack(void)
{
    static char room[8192];
    const stack_t stack = { .ss_sp = room, .ss_size = sizeof room };
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

    if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0 || raise(SIGUSR1) != 0)
        status = 9;
}

static void *start(void *unused)
{
    char *argv[] = { (char *)(uintptr_t)"true", NULL };

    for (int i = 0; i < 3 && status == 0; i++) {
        pid_t child = -1;
        if (strcmp(how, "spawn") == 0)
            status = posix_spawnp(&child, argv[0], NULL, NULL, argv, environ);
        else
            child = strcmp(how, "vfork") == 0 ? vfork() : fork();
        if (child == 0) {
            execvp(argv[0], argv);
            _exit(8);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
            status = 7;
    }
    return unused;
}

static void run_thread(void *(*what)(void *), size_t size)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, size) != 0 || pthread_create(&thread, &attributes, what, NULL) != 0)
        exit(9);
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 9;
    port = atoi(argv[1]);
    how = argv[2];
    for (int i = argc > 4 ? atoi(argv[4]) : 0; i > 0; i--) {
        char name[32];
        snprintf(name, sizeof name, "VARIABLE_%d", i);
        setenv(name, "1", 1);
    }
    if (strcmp(how, "coroutine") == 0 && argc > 3)
        on_coroutine((size_t)atol(argv[3]));
    else if (strcmp(how, "thread") == 0)
        run_thread(in_thread, (size_t)PTHREAD_STACK_MIN);
    else if (strcmp(how, "handler") == 0)
        on_other_stack();
    else
        run_thread(start, argc > 3 ? (size_t)atol(argv[3]) : 65536);
    return status ? 1 : 0;
}
