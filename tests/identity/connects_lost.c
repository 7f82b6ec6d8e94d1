/* SPDX-License-Identifier: ISC */
/* Numbers that are closed past libc: what comes under them afterwards is new, and nothing is left over. */
#define _GNU_SOURCE
#include "connects.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ROUNDS = 100 };

/* Brings fd to a point of an exchange with A. */
static void reach(int fd, const char *when)
{
    static const char half[] = "GET /bytes/10";

    if (strcmp(when, "new") == 0)
        return;
    if (do_connect(fd, &to_a) != 0)
        wait_for(fd, POLLOUT);
    if (strcmp(when, "connected") == 0)
        return;
    if (strcmp(when, "half") == 0) {
        (void)!write(fd, half, sizeof half - 1);
        return;
    }
    static const char whole[] = "GET /bytes/100 HTTP/1.0\r\n\r\n";
    (void)!write(fd, whole, sizeof whole - 1);
    if (strcmp(when, "read") == 0)
        hear_some(fd);
    if (strcmp(when, "ended") == 0) {
        char text[4096];
        ssize_t n = 1;
        while (n != 0 && (n > 0 || nonblocking))
            if ((n = read(fd, text, sizeof text)) < 0)
                wait_for(fd, POLLIN);
    }
}

static void lost(const char *when)
{
    int set = epoll_create1(0), wrong = 0, before = 0, number = -1;

    get(&to_a, "before");
    for (int i = 0; i < ROUNDS; i++) {
        int fd = new_socket();
        reach(fd, when);
        if (i % 3 == 0)
            epoll_ctl(set, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN, .data.fd = fd });
        raw_close(fd);
        wrong += number >= 0 && fd != number;
        number = fd;
        before = i == 0 ? fds_open() : before;
    }
    printf("%d other numbers, %s descriptors\n", wrong, fds_open() > before ? "more" : "as many");
    int fd = new_socket();
    printf("the same number: %s\n", fd == number ? "yes" : "no");
    say_connect(fd, "connect B", &to_b);
    ask(fd);
    hear(fd, "on it");
    close(fd);
    get(&to_a, "A");
    get(&to_b, "B");
}

/* The number comes back as something that is no TCP socket. */
static void other(const char *what)
{
    static const char *const points[] = { "new", "connected", "half", "asked", "read" };
    char text[8] = "";

    get(&to_a, "before");
    for (int i = 0; i < 5; i++) {
        int fd = new_socket(), pair[2] = { -1, -1 };
        reach(fd, points[i]);
        int copy_of = strcmp(what, "dup") == 0 ? socket(AF_UNIX, SOCK_DGRAM, 0) : -1;
        raw_close(fd);
        if (strcmp(what, "dup") == 0) {
            pair[0] = dup(copy_of);
        } else if (strcmp(what, "unix") == 0) {
            pair[0] = socket(AF_UNIX, SOCK_DGRAM, 0);
        } else if (strcmp(what, "pair") == 0) {
            socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        } else if (strcmp(what, "accept") == 0) {
            int listener = socket(AF_INET, SOCK_STREAM, 0); /* takes the number */
            struct sockaddr_in here = { .sin_family = AF_INET };
            socklen_t len = sizeof here;
            bind(listener, addr(&here), len);
            listen(listener, 1);
            getsockname(listener, addr(&here), &len);
            pair[1] = socket(AF_INET, SOCK_STREAM, 0);
            connect(pair[1], addr(&here), len);
            int spot = socket(AF_INET, SOCK_STREAM, 0);
            reach(spot, points[i]);
            raw_close(spot);
            pair[0] = accept(listener, NULL, NULL);
            printf("accept at the same number: %d\n", pair[0] == spot);
            close(listener);
        }
        printf("%s: %d flags %#x\n", points[i], pair[0] == fd, fcntl(pair[0], F_GETFL));
        fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK);
        printf("flags %#x\n", fcntl(pair[0], F_GETFL));
        if (pair[1] >= 0) {
            said("there", write(pair[0], "HELLO\r\n", 7));
            said("here", read(pair[1], text, sizeof text));
            printf("%.5s\n", text);
            close(pair[1]);
        }
        close(pair[0]);
        if (copy_of >= 0)
            close(copy_of);
    }
    get(&to_a, "A");
    get(&to_b, "B");
}

const struct work lost_cases[] = {
    { "lost", lost, "new connected half asked read ended" },
    { "other", other, "unix pair accept dup" },
    { NULL, NULL, NULL },
};
