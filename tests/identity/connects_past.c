/* SPDX-License-Identifier: ISC */
/* Sockets that something was done to before connect: nobody gets them again. */
#define _GNU_SOURCE
#include "connects.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t cookie(int fd)
{
    uint64_t it = 0;
    socklen_t len = sizeof it;

    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &it, &len);
    return it;
}

static void pass(int fd)
{
    char room[CMSG_SPACE(sizeof fd)] = { 0 }, byte = 0;
    struct iovec piece = { &byte, 1 };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    int pair[2];

    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(part), &fd, sizeof fd);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    said("passed", sendmsg(pair[0], &message, 0));
    close(pair[0]);
    close(pair[1]);
}

static void born(bool by_vfork)
{
    pid_t pid = by_vfork ? vfork() : fork();

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
}

static void options(int fd, const char *what)
{
    int on = 1, owner = getpid();
    struct f_owner_ex ex = { F_OWNER_PID, owner };

    if (strcmp(what, "option") == 0)
        said(what, setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    if (strcmp(what, "bad-option") == 0)
        said(what, setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, 1));
    if (strcmp(what, "raw-option") == 0)
        said(what, syscall(SYS_setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    if (strcmp(what, "siocspgrp") == 0)
        said(what, ioctl(fd, SIOCSPGRP, &owner));
    if (strcmp(what, "fioasync") == 0)
        said(what, ioctl(fd, FIOASYNC, &on));
    if (strcmp(what, "setown") == 0)
        said(what, fcntl(fd, F_SETOWN, owner));
    if (strcmp(what, "setown-ex") == 0)
        said(what, fcntl(fd, F_SETOWN_EX, &ex));
    if (strcmp(what, "setsig") == 0)
        said(what, fcntl(fd, F_SETSIG, 10));
}

static void calls(int fd, const char *what)
{
    struct sockaddr_in any = { .sin_family = AF_INET }, bad = { .sin_family = 77 };

    if (strncmp(what, "shut-", 5) == 0)
        said(what, shutdown(fd, what[5] - '0'));
    if (strcmp(what, "raw-shut") == 0)
        said(what, syscall(SYS_shutdown, fd, SHUT_RDWR));
    if (strcmp(what, "bind") == 0)
        said(what, bind(fd, addr(&any), sizeof any));
    if (strcmp(what, "bad-bind") == 0)
        said(what, bind(fd, addr(&bad), sizeof bad));
    if (strcmp(what, "refused") == 0)
        said(what, connect(fd, addr(&to_nowhere), sizeof to_nowhere));
    if (strcmp(what, "unspec") == 0)
        unspec(fd);
    if (strcmp(what, "dup") == 0)
        close(dup(fd));
    if (strcmp(what, "pass") == 0)
        pass(fd);
    if (strcmp(what, "fork") == 0 || strcmp(what, "vfork") == 0)
        born(what[0] == 'v');
    if (strcmp(what, "send") == 0)
        said(what, send(fd, "x", 1, MSG_NOSIGNAL));
}

/* What it was done to is connected to A, or closed as it is; is it that socket which the next ones are? */
static void past(const char *what, bool connects)
{
    uint64_t its[4];

    get(&to_a, "before");
    get(&to_a, "before");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    its[0] = cookie(fd);
    options(fd, what);
    calls(fd, what);
    if (connects) {
        said("connect", connect(fd, addr(&to_a), sizeof to_a));
        ask(fd);
        usleep(50000); /* one that was shut down gets what has come, and waits for nothing */
        hear(fd, "on it");
    }
    close(fd);
    for (int i = 1; i < 4; i++) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        its[i] = cookie(fd);
        said("connect", connect(fd, addr(&to_b), sizeof to_b));
        ask(fd);
        hear(fd, "an innocent one");
        close(fd);
    }
    bool seen = its[0] == its[1] || its[0] == its[2] || its[0] == its[3];
    printf("handed out again: %s\n", seen ? "yes" : "no");
}

static void past_leased(const char *what)
{
    past(what, true);
}

static void past_closed(const char *what)
{
    past(what, false);
}

/* What leaves nothing behind: here a spare is what makes it fast. */
static void no_past(const char *what)
{
    int on = 0, set = epoll_create1(0);
    uint64_t first = 0, same = 0;

    for (int i = 0; i < 4; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (strcmp(what, "getfl") == 0)
            fcntl(fd, F_GETFL);
        if (strcmp(what, "setfl") == 0)
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        if (strcmp(what, "fionbio") == 0)
            ioctl(fd, FIONBIO, &on);
        if (strcmp(what, "cloexec") == 0)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (strcmp(what, "fioclex") == 0)
            ioctl(fd, FIOCLEX);
        if (strcmp(what, "epoll") == 0)
            epoll_ctl(set, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLOUT, .data.fd = i });
        connect(fd, addr(&to_a), sizeof to_a);
        uint64_t its = cookie(fd);
        first = i == 1 ? its : first;
        same += i > 1 && its == first;
        ask(fd);
        hear(fd, "on it");
        close(fd);
    }
    printf("one connection: %s\n", same == 2 ? "yes" : "no");
}

#define PASTS                                                                                     \
    "option bad-option raw-option siocspgrp fioasync setown setown-ex setsig shut-0 shut-2 raw-shut " \
    "bind bad-bind refused unspec dup pass fork vfork send"

const struct work past_cases[] = {
    { "past-leased", past_leased, PASTS },
    { "past-closed", past_closed, PASTS " shut-1" },
    { "no-past", no_past, "getfl setfl fionbio cloexec fioclex epoll" },
    { NULL, NULL, NULL },
};
