/* SPDX-License-Identifier: ISC */
/* What tests/identity/e2e_foreign runs.
 *
 *     foreign attack PREFIX all|others   sends to every abstract name, or to all that do not begin so, as fast as
 *                             /proc/net/unix shows them, time and again with a descriptor beside it that lingers at
 *                             its last close.  When its standard input ends it prints how many messages went to names
 *                             that begin so, and to others.
 *     foreign offer PREFIX N  N datagram sockets with such names, which take nothing out, until standard input ends
 *     foreign look            under `holdfast`: says of each queue of the tree what lies in it; exit status 1 where
 *                             that is anything
 *
 * By plain system calls, where the library would hide something. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include "pool/tree.h"

enum { QUEUES = TREE_QUEUES, LINGER_S = 20, EVERY = 8, STOCK = 64, CLOSERS = 4 };

static long raw(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    long result = syscall(number, a, b, c, d, e, f);
    return result < 0 ? -errno : result;
#endif
}

static int look(void)
{
    const char *text = getenv("HOLDFAST_TREE");
    int first = text ? atoi(text) : -1, found = 0;
    char byte;

    if (first < 3) {
        printf("no queues\n");
        return 2;
    }
    for (int i = 0; i < QUEUES; i++) {
        long n = raw(SYS_recvfrom, first + i, (long)&byte, 1, MSG_PEEK | MSG_DONTWAIT, 0, 0);
        if (n == -EAGAIN)
            continue;
        printf("queue %d: %ld\n", i, n);
        found++;
    }
    return found > 0;
}

static bool over(void)
{
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

    return poll(&p, 1, 0) != 0;
}

static int offer(const char *prefix, int count)
{
    for (int i = 0; i < count; i++) {
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s%d", prefix, i);

        if (bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) != 0)
            return 2;
    }
    printf("there\n");
    fflush(stdout);
    while (!over())
        usleep(10000);
    return 0;
}

/* A connection whose last close waits: its peer, `theirs`, takes nothing. */
static int lingering(int listener, const struct sockaddr_in *at)
{
    static char much[1 << 20];
    const struct linger on = { 1, LINGER_S };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)at, sizeof *at) != 0)
        return -1;
    if (accept(listener, NULL, NULL) < 0) /* stays open */
        return -1;
    while (send(fd, much, sizeof much, MSG_DONTWAIT) > 0)
        ;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &on, sizeof on);
    return fd;
}

static int stock[STOCK], stocked;
static int to_close[2];

/* What was not taken lingers at its own close: that is not to hold the attack up. */
static void *close_them(void *unused)
{
    int fd;

    while (read(to_close[0], &fd, sizeof fd) == sizeof fd)
        close(fd);
    return unused;
}

static void prepare(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;

    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (bind(listener, (struct sockaddr *)&at, len) != 0 || listen(listener, STOCK) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0 || pipe2(to_close, O_CLOEXEC) != 0)
        exit(2);
    while (stocked < STOCK && (stock[stocked] = lingering(listener, &at)) >= 0)
        stocked++;
    for (int i = 0; i < CLOSERS; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, close_them, NULL);
    }
}

static bool send_to(int fd, const struct sockaddr_un *name, socklen_t len, int beside)
{
    char data[8] = "foreign", control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec piece = { data, sizeof data };
    struct msghdr m = { .msg_name = (void *)(uintptr_t)name, .msg_namelen = len, .msg_iov = &piece, .msg_iovlen = 1 };

    if (beside >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                               .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &beside, sizeof(int));
    }
    return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static unsigned long sent, met, passed_by;

static void send_both(int fd, const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    size_t len = strcspn(path, "\n");

    if (len > sizeof name.sun_path - 1)
        return;
    memcpy(name.sun_path + 1, path, len);
    socklen_t name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    int beside = sent % EVERY == 0 && stocked ? stock[stocked - 1] : -1;
    sent++;
    if (!send_to(fd, &name, name_len, beside))
        return;
    if (beside < 0)
        return;
    stocked--;
    if (write(to_close[1], &beside, sizeof beside) != sizeof beside)
        close(beside);
}

static int attack(const char *prefix, bool everything)
{
    static char all[1 << 20];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), list = open("/proc/net/unix", O_RDONLY);

    prepare();
    printf("there\n");
    fflush(stdout);
    while (!over()) {
        ssize_t n = 0, more;
        while ((more = pread(list, all + n, sizeof all - 1 - (size_t)n, n)) > 0)
            n += more;
        all[n] = '\0';
        for (const char *at = strstr(all, " @"); at; at = strstr(at + 1, " @")) {
            bool ours = strncmp(at + 2, prefix, strlen(prefix)) == 0;
            if (ours)
                met++;
            else
                passed_by++;
            if (everything || !ours)
                send_both(fd, at + 2);
        }
    }
    printf("%lu %lu\n", met, passed_by);
    fflush(stdout);
    _exit(0); /* without a wait for the closers */
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "look") == 0)
        return look();
    if (argc == 4 && strcmp(argv[1], "attack") == 0)
        return attack(argv[2], strcmp(argv[3], "all") == 0);
    if (argc == 4 && strcmp(argv[1], "offer") == 0)
        return offer(argv[2], atoi(argv[3]));
    return 2;
}
