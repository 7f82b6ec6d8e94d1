/* SPDX-License-Identifier: ISC */
/* A connection whose far end did SHUT_WR, and stays open, serves as the end of file of any number of
 * fds: it reads as an end for ever, without POLLHUP, accepts sends, and can be shared. */
#define _GNU_SOURCE
#include "assume.h"

#include <fcntl.h>

static const short ALL = POLLIN | POLLOUT | POLLRDHUP;

static void reads_nothing_for_ever(int fd)
{
    char byte;

    for (int i = 0; i < 100; i++) {
        check(read(fd, &byte, 1) == 0, "each read gives 0");
        check(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0, "each peek gives 0");
    }
    check(poll_for(fd, ALL, 0) == (unsigned)ALL, "poll says IN, OUT, RDHUP and no HUP");
    check(poll_for(fd, 0, 0) == 0, "poll that asks for nothing says nothing");
}

static void epoll_agrees(int fd)
{
    const unsigned all = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
    int set = epoll_create1(EPOLL_CLOEXEC);

    epoll_change(set, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    check(epoll_next(set, 0) == all && epoll_next(set, 0) == all, "level: fires each time");
    epoll_change(set, EPOLL_CTL_MOD, fd, all | EPOLLET);
    check(epoll_next(set, 0) == all, "edge: fires after it was armed");
    check(epoll_next(set, 50) == 0, "edge: not again");
    epoll_change(set, EPOLL_CTL_MOD, fd, all | EPOLLONESHOT);
    check(epoll_next(set, 0) == all && epoll_next(set, 50) == 0, "one-shot: fires once");
    epoll_change(set, EPOLL_CTL_MOD, fd, all | EPOLLONESHOT);
    check(epoll_next(set, 0) == all, "one-shot: and again when armed again");
    epoll_change(set, EPOLL_CTL_DEL, fd, 0);
    close(set);
}

static void sends_are_accepted(int fd, int theirs)
{
    char back[8];

    check(send(fd, "lost", 4, MSG_NOSIGNAL) == 4, "a send is accepted");
    check(recv(theirs, back, sizeof(back), 0) == 4, "and arrives, so that the far end can drain it");
    check(poll_for(fd, ALL, 0) == (unsigned)ALL, "and changes nothing");
}

static void can_be_shared(int fd)
{
    int first = socket(AF_INET, SOCK_STREAM, 0), second = socket(AF_INET, SOCK_STREAM, 0);

    check(dup3(fd, first, O_CLOEXEC) == first && dup3(fd, second, 0) == second, "dup3 over other sockets");
    reads_nothing_for_ever(first);
    epoll_agrees(first);
    close(first);
    reads_nothing_for_ever(second);
    reads_nothing_for_ever(fd);
    check(fcntl(second, F_GETFD) == 0, "FD_CLOEXEC is each fd's own");
    close(second);
}

int main(void)
{
    int theirs, fd = ended_socket(&theirs);

    reads_nothing_for_ever(fd);
    epoll_agrees(fd);
    sends_are_accepted(fd, theirs);
    can_be_shared(fd);
    return 0;
}
