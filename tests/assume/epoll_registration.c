/* SPDX-License-Identifier: ISC */
/* A registration in an epoll set belongs to (fd number, description), not to the fd: a socket that is
 * swapped under an fd number has to be moved there by hand, and one that is parked has to leave. */
#define _GNU_SOURCE
#include "assume.h"

#include <fcntl.h>

static void survives_close(void)
{
    int ours, theirs, copy, set = epoll_create1(0);

    tcp_pair(&ours, &theirs);
    epoll_change(set, EPOLL_CTL_ADD, ours, EPOLLIN);
    copy = dup(ours);
    close(ours);
    check(send(theirs, "x", 1, 0) == 1, "send");
    check(epoll_next(set, SOON_MS) == EPOLLIN, "it fires after close, while a copy lives on");
    close(copy);
    check(epoll_next(set, 50) == 0, "and leaves with the last copy");
    close(set);
    close(theirs);
}

static void stays_behind_at_a_swap(void)
{
    int ours, theirs, other, far, parked, set = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN };

    tcp_pair(&ours, &theirs);
    tcp_pair(&other, &far);
    epoll_change(set, EPOLL_CTL_ADD, ours, EPOLLIN);
    parked = fcntl(ours, F_DUPFD_CLOEXEC, 100);
    check(parked >= 100, "F_DUPFD_CLOEXEC gives a number from its minimum on");
    check(dup3(other, ours, 0) == ours, "dup3");
    errno = 0;
    check(epoll_ctl(set, EPOLL_CTL_DEL, ours, &e) == -1 && errno == ENOENT, "DEL after a swap: ENOENT");
    check(send(far, "x", 1, 0) == 1 && epoll_next(set, 50) == 0, "what came under the fd does not fire");
    check(send(theirs, "x", 1, 0) == 1 && epoll_next(set, SOON_MS) == EPOLLIN, "what left does");
    epoll_change(set, EPOLL_CTL_ADD, ours, EPOLLIN);
    check(epoll_next(set, SOON_MS) == EPOLLIN, "ADD after the swap works");
}

static void *wait_in_epoll(void *set)
{
    return (void *)(long)epoll_next(*(int *)set, LATE_MS);
}

/* DEL before, ADD after: a thread that waits meanwhile is told. */
static void waiter_is_woken(unsigned flags)
{
    int ours, theirs, far, ended = ended_socket(&far), set = epoll_create1(0);
    pthread_t waiter;

    tcp_pair(&ours, &theirs);
    epoll_change(set, EPOLL_CTL_ADD, ours, EPOLLIN | EPOLLRDHUP | flags);
    waiter = begin(wait_in_epoll, &set);
    epoll_change(set, EPOLL_CTL_DEL, ours, 0);
    check(dup3(ended, ours, 0) == ours, "dup3");
    epoll_change(set, EPOLL_CTL_ADD, ours, EPOLLIN | EPOLLRDHUP | flags);
    check(finish(waiter) == (EPOLLIN | EPOLLRDHUP), "a thread in epoll_wait is woken by the ADD");
}

int main(void)
{
    survives_close();
    stays_behind_at_a_swap();
    waiter_is_woken(0);
    waiter_is_woken(EPOLLET);
    waiter_is_woken(EPOLLONESHOT);
    return 0;
}
