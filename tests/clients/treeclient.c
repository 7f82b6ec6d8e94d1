/* SPDX-License-Identifier: ISC */
/* A client for tests of sharing between processes, which does what its arguments say, one after the
 * other:
 *
 *   get HOST:PORT/PATH    an HTTP/1.0 request; the body goes to standard output
 *   leave HOST:PORT/PATH  an HTTP/1.1 request, whose connection is left open
 *   many N HOST:PORT/PATH N of the first kind at a time
 *   fds                   print the descriptors from 3 on in /proc/self/fd that fcntl calls open
 *   loop range from mark  close all of them: one by one to 1023, by close_range, by closefrom; or mark
 *                         them close-on-exec
 *   read write ctl shut   do that to all of them
 *   pass N                have N descriptors in flight at a time; print OK or the error
 *   limit N               RLIMIT_NOFILE
 *   wait MS               sleep
 *   hold                  open a file and keep it
 *   lo                    bring the loopback up
 *   uid N, euid N         be that user from here on; for the time being
 *   run COMMAND... .      fork, execute it, and wait
 *   exec COMMAND...       execute it
 *   exit _exit quick group kill   end so */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/older_libc.h"

enum { MANY = 256, HEAD = 65536 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Connects and asks; returns the socket. */
static int ask(const char *url, int minor)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    char host[64], request[1024];
    const char *path = strchr(url, '/');
    int port, n, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (path == NULL || sscanf(url, "%63[^:]:%d", host, &port) != 2 || fd < 0)
        die(url);
    to.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die(url);
    n = snprintf(request, sizeof(request), "GET %s HTTP/1.%d\r\nHost: %s:%d\r\n\r\n", path, minor, host, port);
    if (send(fd, request, (size_t)n, 0) != n)
        die("send");
    return fd;
}

/* The body to standard output: to the end of the connection, or as long as the head says. */
static void answer(int fd, int until_close)
{
    static char data[1 << 20];
    size_t have = 0, head = 0, whole = sizeof(data);
    const char *field;
    ssize_t n;

    while (have < whole && (n = recv(fd, data + have, whole - have, 0)) != 0) {
        if (n < 0)
            die("recv");
        have += (size_t)n;
        field = memmem(data, have, "\r\n\r\n", 4);
        if (head == 0 && field != NULL) {
            head = (size_t)(field - data) + 4;
            data[head - 1] = '\0';
            field = strcasestr(data, "\r\nContent-Length:");
            if (!until_close && field != NULL)
                whole = head + strtoul(field + 17, NULL, 10);
        }
    }
    fwrite(data + head, 1, have - head, stdout);
}

static void many(int n, const char *url)
{
    int fds[MANY];

    for (int i = 0; i < n && i < MANY; i++)
        fds[i] = ask(url, 0);
    for (int i = 0; i < n && i < MANY; i++)
        answer(fds[i], 1);
    for (int i = 0; i < n && i < MANY; i++)
        close(fds[i]);
}

/* Calls `act` for each open descriptor from 3 on. */
static void each(void (*act)(int fd))
{
    int found[1024], n = 0;
    DIR *all = opendir("/proc/self/fd");
    struct dirent *entry;

    if (all == NULL)
        die("/proc/self/fd");
    while (n < 1024 && (entry = readdir(all)) != NULL)
        if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(all))
            found[n++] = atoi(entry->d_name);
    closedir(all);
    for (int i = 0; i < n; i++)
        act(found[i]);
}

static void print_fd(int fd)
{
    char path[32], what[256];
    ssize_t n;

    if (fcntl(fd, F_GETFD) < 0)
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, what, sizeof(what) - 1);
    what[n < 0 ? 0 : n] = '\0';
    what[strcspn(what, "[")] = '\0'; /* an inode */
    printf("%d %s\n", fd, what);
}

static void on_alarm(int number)
{
    (void)number;
}

/* By syscall: past the library. */
static void read_fd(int fd)
{
    struct sigaction soon = { .sa_handler = on_alarm };
    char byte[16];

    sigaction(SIGALRM, &soon, NULL);
    ualarm(20000, 20000);
    syscall(SYS_read, fd, byte, sizeof(byte));
    syscall(SYS_readv, fd, &(struct { void *base; size_t size; }){ byte, sizeof(byte) }, 1);
    ualarm(0, 0);
}

static void write_fd(int fd)
{
    struct sigaction soon = { .sa_handler = on_alarm };

    sigaction(SIGALRM, &soon, NULL);
    signal(SIGPIPE, SIG_IGN);
    ualarm(20000, 20000);
    syscall(SYS_write, fd, "\n", 1);
    syscall(SYS_write, fd, "something else\n", 15);
    ualarm(0, 0);
}

static void control_fd(int fd)
{
    int on = 1, size = 1;

    syscall(SYS_fcntl, fd, F_SETFL, 0);
    syscall(SYS_ioctl, fd, FIONBIO, &on);
    syscall(SYS_lseek, fd, 0L, SEEK_SET);
    syscall(SYS_ftruncate, fd, 0L);
    syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void shut_fd(int fd)
{
    syscall(SYS_shutdown, fd, SHUT_RDWR);
}

static int send_fd(int over, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec byte = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
    struct msghdr m = { .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control,
                        .msg_controllen = sizeof(control) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(int));
    return sendmsg(over, &m, MSG_DONTWAIT) == 1 ? 0 : -1;
}

static void pass(int n)
{
    int pair[2], passed = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        die("socketpair");
    while (passed < n && send_fd(pair[0], STDIN_FILENO) == 0)
        passed++;
    if (passed == n)
        printf("pass %d: OK\n", n);
    else
        printf("pass %d: only %d: %s\n", n, passed, strerror(errno));
    close(pair[0]);
    close(pair[1]);
}

static void set_limit(rlim_t n)
{
    struct rlimit limit = { n, n };

    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die("setrlimit");
}

static void loopback_up(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
        die("lo");
    close(fd);
}

/* Returns the last word that belongs to the command. */
static char **run(char **command)
{
    char **end = command;
    pid_t child;
    int status;

    while (*end != NULL && strcmp(*end, ".") != 0)
        end++;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        *end = NULL;
        execvp(command[0], command);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        printf("run: %s failed\n", command[0]);
    return *end == NULL ? end - 1 : end;
}

static void end(const char *how)
{
    fflush(stdout);
    if (strcmp(how, "exit") == 0)
        exit(0);
    if (strcmp(how, "_exit") == 0)
        _exit(0);
    if (strcmp(how, "quick") == 0)
        quick_exit(0);
    if (strcmp(how, "group") == 0)
        syscall(SYS_exit_group, 0);
    if (strcmp(how, "kill") == 0)
        raise(SIGKILL);
}

static void without_argument(const char *word)
{
    if (strcmp(word, "fds") == 0)
        each(print_fd);
    else if (strcmp(word, "loop") == 0)
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    else if (strcmp(word, "range") == 0)
        close_range(3, ~0U, 0);
    else if (strcmp(word, "from") == 0)
        closefrom(3);
    else if (strcmp(word, "mark") == 0)
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    else if (strcmp(word, "read") == 0)
        each(read_fd);
    else if (strcmp(word, "write") == 0)
        each(write_fd);
    else if (strcmp(word, "ctl") == 0)
        each(control_fd);
    else if (strcmp(word, "shut") == 0)
        each(shut_fd);
    else if (strcmp(word, "lo") == 0)
        loopback_up();
    else if (strcmp(word, "hold") == 0 && open("/dev/null", O_RDONLY) < 0)
        die("open");
    else
        end(word);
}

int main(int argc, char **argv)
{
    for (char **word = argv + 1; *word != NULL; word++)
        if (strcmp(*word, "exec") == 0) {
            fflush(stdout);
            execvp(word[1], word + 1);
            die(word[1]);
        } else if (strcmp(*word, "run") == 0) {
            word = run(word + 1);
        } else if (strcmp(*word, "get") == 0) {
            int fd = ask(*++word, 0);

            answer(fd, 1);
            close(fd);
        } else if (strcmp(*word, "leave") == 0) {
            answer(ask(*++word, 1), 0);
        } else if (strcmp(*word, "many") == 0) {
            many(atoi(word[1]), word[2]);
            word += 2;
        } else if (strcmp(*word, "pass") == 0) {
            pass(atoi(*++word));
        } else if (strcmp(*word, "limit") == 0) {
            set_limit((rlim_t)atol(*++word));
        } else if (strcmp(*word, "uid") == 0) {
            uid_t user = (uid_t)atol(*++word);

            if (setresuid(user, user, user) < 0)
                die("setresuid");
        } else if (strcmp(*word, "euid") == 0) {
            if (seteuid((uid_t)atol(*++word)) < 0)
                die("seteuid");
        } else if (strcmp(*word, "wait") == 0) {
            fflush(stdout);
            usleep((useconds_t)atol(*++word) * 1000);
        } else {
            without_argument(*word);
        }
    return 0;
}
