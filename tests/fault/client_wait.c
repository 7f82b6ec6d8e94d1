/* SPDX-License-Identifier: ISC */
/* poll and epoll behind one face. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

void enroll(struct exchange *x)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP };

    if (x->registered || x->set < 0)
        return;
    if (x->how->wait == WAIT_EDGE)
        event.events |= EPOLLET;
    event.data.fd = x->fd;
    if (CALL(x, STEP_REGISTER, epoll_ctl(x->set, EPOLL_CTL_ADD, x->fd, &event)) < 0)
        fail(x, "register");
    x->registered = true;
}

/* A level that is always high would wake us for ever. */
static bool wants_input_only(struct exchange *x)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.fd = x->fd };

    if (x->how->wait != WAIT_LEVEL || x->input_only)
        return true;
    x->input_only = true;
    return CALL(x, STEP_REGISTER, epoll_ctl(x->set, EPOLL_CTL_MOD, x->fd, &event)) == 0;
}

static int wait_edge(struct exchange *x, unsigned wanted)
{
    struct epoll_event event;

    for (int n = 1; !(x->ready & wanted); x->ready |= event.events)
        if ((n = epoll_wait(x->set, &event, 1, PATIENCE)) <= 0)
            return n;
    return 1;
}

bool wait_for(struct exchange *x, short events)
{
    struct pollfd p = { .fd = x->fd, .events = events };
    struct epoll_event event;
    int n;

    if (events == POLLIN && !wants_input_only(x))
        return false;
    if (x->set < 0)
        n = poll(&p, 1, PATIENCE);
    else if (x->how->wait == WAIT_EDGE)
        n = wait_edge(x, (unsigned)events | EPOLLHUP | EPOLLERR);
    else
        n = epoll_wait(x->set, &event, 1, PATIENCE);
    x->timed_out = n == 0;
    if (n == 0)
        errno = ETIMEDOUT;
    return n > 0;
}
