/* SPDX-License-Identifier: ISC */
/* poll, select and epoll behind one face.
 *
 * Level-triggered epoll registrations are left for close to take out, as many programs leave them;
 * the others are deleted first, and must still be there. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "prober.h"

enum { MANY = 1024 };

static int set = -1;

static bool is_epoll(void)
{
    return settings.wait >= WAIT_EPOLL_LT;
}

void wait_init(void)
{
    if (!is_epoll() || set >= 0)
        return;
    set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0)
        abort();
}

static unsigned events_for(const struct exchange *x)
{
    if (settings.wait == WAIT_EPOLL_ET)
        return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    return (x->step == STEP_RECEIVE ? EPOLLIN | EPOLLRDHUP : EPOLLOUT) |
           (settings.wait == WAIT_EPOLL_ONESHOT ? EPOLLONESHOT : 0);
}

static void control(struct exchange *x, int op, const char *what)
{
    struct epoll_event e = { .events = x->wanted, .data.ptr = x };

    if (epoll_ctl(set, op, x->fd, &e) < 0)
        fprintf(x->out, "BROKEN: epoll_ctl %s: %s\n", what, error_name(errno));
}

void wait_add(struct exchange *x)
{
    if (!is_epoll() || x->registered)
        return;
    x->registered = true;
    x->wanted = events_for(x);
    control(x, EPOLL_CTL_ADD, "ADD");
}

void wait_remove(struct exchange *x)
{
    if (!x->registered)
        return;
    x->registered = false;
    if (settings.wait != WAIT_EPOLL_LT)
        control(x, EPOLL_CTL_DEL, "DEL");
}

/* Level: arm for what the next step needs.  One-shot: arm again after each event. */
static void rearm(struct exchange *x)
{
    unsigned events = events_for(x);

    if (!x->registered || settings.wait == WAIT_EPOLL_ET || x->wanted == events)
        return;
    x->wanted = events;
    control(x, EPOLL_CTL_MOD, "MOD");
}

static void woken(struct exchange *x, bool in, bool out, bool end)
{
    bool edge = settings.wait == WAIT_EPOLL_ET;

    x->wakeups++;
    x->woken = true;
    x->readable = in || end || (edge && x->readable);
    x->writable = out || (edge && x->writable);
    x->ended = end || (edge && x->ended);
}

static int wait_poll(struct exchange **all, int n)
{
    struct pollfd p[MANY];
    int ready;

    for (int i = 0; i < n; i++)
        p[i] = (struct pollfd){ .fd = all[i]->fd, .events = all[i]->step == STEP_RECEIVE ? POLLIN : POLLOUT };
    ready = poll(p, (nfds_t)n, settings.timeout_ms);
    for (int i = 0; i < n && ready > 0; i++)
        if (p[i].revents != 0)
            woken(all[i], p[i].revents & (POLLIN | POLLHUP | POLLERR), p[i].revents & (POLLOUT | POLLERR),
                  false);
    return ready;
}

static int wait_select(struct exchange **all, int n)
{
    struct timeval limit = { .tv_sec = settings.timeout_ms / 1000,
                             .tv_usec = settings.timeout_ms % 1000 * 1000 };
    fd_set in, out;
    int ready, top = -1;

    FD_ZERO(&in);
    FD_ZERO(&out);
    for (int i = 0; i < n; i++) {
        FD_SET(all[i]->fd, all[i]->step == STEP_RECEIVE ? &in : &out);
        top = all[i]->fd > top ? all[i]->fd : top;
    }
    ready = select(top + 1, &in, &out, NULL, &limit);
    for (int i = 0; i < n && ready > 0; i++)
        if (FD_ISSET(all[i]->fd, &in) || FD_ISSET(all[i]->fd, &out))
            woken(all[i], FD_ISSET(all[i]->fd, &in), FD_ISSET(all[i]->fd, &out), false);
    return ready;
}

static int wait_epoll(struct exchange **all, int n)
{
    struct epoll_event e[MANY];
    int ready;

    for (int i = 0; i < n; i++)
        rearm(all[i]);
    ready = epoll_wait(set, e, n, settings.timeout_ms);
    for (int i = 0; i < ready; i++) {
        struct exchange *x = e[i].data.ptr;

        if (settings.wait == WAIT_EPOLL_ONESHOT)
            x->wanted = 0;
        woken(x, e[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR), e[i].events & (EPOLLOUT | EPOLLERR),
              e[i].events & EPOLLRDHUP);
    }
    return ready;
}

bool wait_for(struct exchange **all, int n)
{
    int ready;

    do
        ready = settings.wait == WAIT_POLL     ? wait_poll(all, n)
                : settings.wait == WAIT_SELECT ? wait_select(all, n)
                                               : wait_epoll(all, n);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}
