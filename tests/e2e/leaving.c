/* SPDX-License-Identifier: ISC */
/* A client that leaves what it does in the middle: after the beginning of an upload it sleeps, reads something else, ends or
 * becomes another program; another program sends the rest; a thread is cancelled.
 *
 *     leaving PORT _exit|exec|sleep|pipe     PUT of 100 bytes, of which 50 are sent; sleep and pipe: then it is killed
 *     leaving PORT spawn|system FILE         PUT of the bytes of FILE, which a child sends, after its parent has sent the head
 *     leaving PORT numbers                   has had all numbers for itself, makes two requests and becomes what counts the
 *                                            sockets that it has: 0 if there are none
 *     leaving PORT cancel TIMES              in so many processes, a thread is cancelled while it makes requests, and the
 *                                            other one makes one: 0 if none hangs */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { NUMBERS = 512 };

static int port;

static int connected(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        exit(9);
    return fd;
}

static void put(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        exit(8);
}

static int begin_upload(long bytes)
{
    char head[200];
    int fd = connected();

    snprintf(head, sizeof head, "PUT /put HTTP/1.0\r\nHost: localhost\r\nContent-Length: %ld\r\n\r\n", bytes);
    put(fd, head);
    return fd;
}

static int end_early(const char *how)
{
    char half[51] = { 0 }, *argv[] = { (char *)(uintptr_t)"true", NULL };
    int ends[2];

    memset(half, 'x', sizeof half - 1);
    put(begin_upload(100), half);
    if (strcmp(how, "exec") == 0)
        execvp(argv[0], argv);
    if (strcmp(how, "sleep") == 0) {
        sleep(1);
        raise(SIGKILL);
    }
    if (strcmp(how, "pipe") == 0 && pipe(ends) == 0) {
        if (fork() == 0) {
            usleep(300000);
            kill(getppid(), SIGKILL);
            _exit(0);
        }
        return (int)read(ends[0], half, 1);
    }
    _exit(0);
}

static int hand_over(const char *how, const char *path)
{
    char command[300], answer[2000], *argv[] = { (char *)(uintptr_t)"cat", (char *)(uintptr_t)path, NULL };
    posix_spawn_file_actions_t actions;
    struct stat status;
    size_t got = 0;
    pid_t child;
    ssize_t n;

    if (stat(path, &status) != 0)
        return 7;
    int fd = begin_upload((long)status.st_size);
    if (strcmp(how, "system") == 0) {
        snprintf(command, sizeof command, "cat %s >&%d", path, fd);
        if (system(command) != 0)
            return 6;
    } else {
        char *env[] = { NULL }; /* it starts at once */
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
        if (posix_spawnp(&child, argv[0], &actions, NULL, argv, env) != 0)
            return 5;
        waitpid(child, NULL, 0);
    }
    while ((n = read(fd, answer + got, sizeof answer - 1 - got)) > 0)
        got += (size_t)n;
    answer[got] = '\0';
    return n == 0 && strstr(answer, " 200 ") ? 0 : 1;
}

static void forget(void *fd)
{
    close(*(int *)fd);
}

static void request(void)
{
    char answer[4096];
    int fd = connected();
    struct pollfd wait = { .fd = fd, .events = POLLIN };

    pthread_cleanup_push(forget, &fd);
    put(fd, "GET /bytes/10 HTTP/1.0\r\nHost: localhost\r\n\r\n");
    poll(&wait, 1, 2000);
    while (read(fd, answer, sizeof answer) > 0)
        ;
    pthread_cleanup_pop(1);
}

static void *requests(void *unused)
{
    for (int i = 0; i < 50; i++)
        request();
    return unused;
}

static int cancelled(unsigned seed)
{
    pthread_t thread;

    srand(seed);
    alarm(5);
    if (pthread_create(&thread, NULL, requests, NULL) != 0)
        return 4;
    usleep((useconds_t)(rand() % 500));
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    request();
    return 0;
}

static int count_sockets(void)
{
    struct stat status;
    int count = 0;

    for (int fd = 0; fd < NUMBERS; fd++)
        count += fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    return count;
}

static int take_all_numbers(char **argv)
{
    const struct rlimit limit = { 64, NUMBERS }, all = { NUMBERS, NUMBERS };
    char *again[] = { argv[0], argv[1], (char *)(uintptr_t)"sockets", NULL };

    setrlimit(RLIMIT_NOFILE, &all);
    for (int fd = 3; fd < NUMBERS; fd++)
        dup2(0, fd);
    for (int fd = 3; fd < NUMBERS; fd++)
        close(fd);
    setrlimit(RLIMIT_NOFILE, &limit);
    request();
    request();
    execv(argv[0], again);
    return 8;
}

static int cancel(int times)
{
    int bad = 0;

    for (int i = 0; i < times && bad < 3; i++) {
        pid_t child = fork();
        int status = 0;
        if (child == 0)
            _exit(cancelled((unsigned)i));
        waitpid(child, &status, 0);
        bad += status != 0;
    }
    return bad;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 9;
    port = atoi(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[2], "cancel") == 0)
        return cancel(argc > 3 ? atoi(argv[3]) : 100);
    if (strcmp(argv[2], "sockets") == 0)
        return count_sockets();
    if (strcmp(argv[2], "numbers") == 0)
        return take_all_numbers(argv);
    return argc > 3 ? hand_over(argv[2], argv[3]) : end_early(argv[2]);
}
