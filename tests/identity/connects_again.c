/* SPDX-License-Identifier: ISC */
/* More than one connect on a socket.  Whatever happens there, nobody who asks for A later gets a connection to B. */
#define _GNU_SOURCE
#include "connects.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

static const char whole[] = "GET /bytes/100 HTTP/1.0\r\n\r\n";

/* The connection to B, and what others get afterwards. */
static void finish(int fd)
{
    say_connect(fd, "connect B", &to_b);
    ask(fd);
    hear(fd, "on it");
    close(fd);
    for (int i = 0; i < 2; i++) {
        get(&to_a, "A");
        get(&to_b, "B");
    }
    get(&to_nowhere, "nowhere");
}

/* AF_UNSPEC at a point of the exchange with A. */
static void give_up(const char *when)
{
    char byte;
    int fd = new_socket();

    get(&to_a, "before");
    if (strcmp(when, "new") != 0)
        say_connect(fd, "connect A", &to_a);
    if (strcmp(when, "half") == 0)
        said("half", send(fd, whole, 20, MSG_NOSIGNAL));
    if (strcmp(when, "letter") == 0)
        said("letter", send(fd, whole, 1, MSG_NOSIGNAL));
    if (strcmp(when, "asked") == 0 || strcmp(when, "middle") == 0 || strcmp(when, "read") == 0 || strcmp(when, "ended") == 0)
        ask(fd);
    if (strcmp(when, "middle") == 0) {
        wait_for(fd, POLLIN);
        said("a byte", read(fd, &byte, 1));
    }
    if (strcmp(when, "read") == 0)
        hear_some(fd);
    if (strcmp(when, "ended") == 0)
        hear(fd, "from A");
    unspec(fd);
    said("is connected", send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
    finish(fd);
}

/* Another connect without it, after the end, in the middle, as a question. */
static void again(const char *when)
{
    int fd = new_socket();

    get(&to_a, "before");
    if (strcmp(when, "pending") == 0) {
        do_connect(fd, &to_a);
        wait_for(fd, POLLOUT);
        said("first question", do_connect(fd, &to_b)); /* the address does not matter */
    } else {
        say_connect(fd, "connect A", &to_a);
    }
    if (strcmp(when, "asked") == 0 || strcmp(when, "ended") == 0)
        ask(fd);
    if (strcmp(when, "ended") == 0)
        hear(fd, "from A");
    for (int i = 0; i < 3; i++)
        said("connect B", do_connect(fd, &to_b));
    if (strcmp(when, "ended") != 0) {
        if (strcmp(when, "asked") != 0)
            ask(fd);
        hear(fd, "from A");
        said("connect B", do_connect(fd, &to_b));
    }
    close(fd);
    get(&to_a, "A");
    get(&to_b, "B");
}

static void refused(const char *how)
{
    int fd = new_socket();

    get(&to_b, "before");
    if (strcmp(how, "asked") == 0) { /* the outcome is asked for by a connect, as ab does */
        do_connect(fd, &to_nowhere);
        wait_for(fd, POLLOUT);
        said("the outcome", do_connect(fd, &to_nowhere));
    } else {
        say_connect(fd, "connect nowhere", &to_nowhere);
    }
    if (nonblocking && strcmp(how, "asked") != 0)
        said("connect B", do_connect(fd, &to_b));
    finish(fd);
}

static ssize_t fast(int fd, struct sockaddr_in *to, const char *bytes, size_t len)
{
    return sendto(fd, bytes, len, MSG_FASTOPEN | MSG_NOSIGNAL, addr(to), sizeof *to);
}

static ssize_t fast_message(int fd, struct sockaddr_in *to, const char *bytes, size_t len)
{
    struct iovec piece = { (void *)(uintptr_t)bytes, len };
    struct msghdr message = { .msg_name = to, .msg_namelen = sizeof *to, .msg_iov = &piece, .msg_iovlen = 1 };

    return sendmsg(fd, &message, MSG_FASTOPEN | MSG_NOSIGNAL);
}

/* A send that connects, on a socket that is something else than new; or that fails and is followed by a connect. */
static void fastopen(const char *how)
{
    struct sockaddr_in none = { .sin_family = AF_UNSPEC };
    int fd = new_socket();
    ssize_t (*send_fast)(int, struct sockaddr_in *, const char *, size_t) = strstr(how, "message") ? fast_message : fast;

    get(&to_a, "before");
    get(&to_b, "before");
    if (strcmp(how, "refused") == 0) {
        said("to nowhere", send_fast(fd, &to_nowhere, whole, sizeof whole - 1));
        if (nonblocking)
            said("the outcome", (wait_for(fd, POLLOUT), do_connect(fd, &to_nowhere)));
        finish(fd);
        return;
    }
    if (strcmp(how, "unspec") == 0) {
        said("to AF_UNSPEC", send_fast(fd, &none, whole, sizeof whole - 1));
        finish(fd);
        return;
    }
    if (strncmp(how, "ended", 5) == 0) {
        say_connect(fd, "connect A", &to_a);
        ask(fd);
        hear(fd, "from A");
    } else {
        say_connect(fd, "connect A", &to_a);
    }
    if (!nonblocking)
        said("to B", send_fast(fd, &to_b, whole, sizeof whole - 1));
    said("to AF_UNSPEC", send_fast(fd, &none, whole, sizeof whole - 1));
    unspec(fd);
    finish(fd);
}

static void *late_connect(void *argument)
{
    int fd = *(int *)argument;

    usleep(20000);
    do_connect(fd, &to_b); /* what comes of it is the scheduler's */
    return NULL;
}

/* Two threads connect one socket. */
static void threads(const char *unused)
{
    pthread_t other;
    int fd = new_socket();

    pthread_create(&other, NULL, late_connect, &fd);
    do_connect(fd, &to_nowhere);
    pthread_join(other, NULL);
    struct sockaddr_in peer = { 0 };
    socklen_t len = sizeof peer;
    said("peer", getpeername(fd, addr(&peer), &len));
    printf("B: %d\n", peer.sin_port == to_b.sin_port);
    ask(fd);
    hear(fd, "on it");
    close(fd);
    get(&to_nowhere, "nowhere");
    get(&to_b, "B");
}

/* What the next process of the tree gets. */
static void gets(const char *unused)
{
    get(&to_a, "A");
    get(&to_b, "B");
    get(&to_nowhere, "nowhere");
}

const struct work again_cases[] = {
    { "gets", gets, "-" },
    { "give-up", give_up, "new connected letter half asked middle read ended" },
    { "again", again, "pending connected asked ended" },
    { "refused", refused, "once asked" },
    { "fastopen", fastopen, "refused unspec connected connected-message ended" },
    { "threads", threads, "-" },
    { NULL, NULL, NULL },
};
