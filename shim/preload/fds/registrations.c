/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/fds/registrations.h"

#include "base/number.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

atomic_uint registrations_numbers;
atomic_bool registrations_exclusive;

/* Modes of a registration: with no more than these it reports nothing. */
static const uint32_t SILENT = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE;

static struct registration *find(struct registrations *r, int epfd, int fd)
{
    for (int i = 0; i < r->count; i++)
        if (r->set[i].epfd == epfd && r->set[i].fd == fd)
            return &r->set[i];
    return NULL;
}

static void erase(struct registrations *r, struct registration *which)
{
    *which = r->set[--r->count];
    r->asks_end &= r->count > 0;
}

struct registration *registrations_find(struct registrations *r, int epfd, uint64_t data)
{
    for (int i = 0; i < r->count; i++)
        if (r->set[i].epfd == epfd && r->set[i].data == data)
            return &r->set[i];
    return NULL;
}

/* EPOLLEXCLUSIVE does not go with it, and one that has fired under EPOLLONESHOT must stay silent (epoll_ctl(2)). */
uint32_t registrations_mask(const struct registrations *r, uint32_t events)
{
    return r->watched && !(events & EPOLLEXCLUSIVE) && events & ~SILENT ? events | EPOLLRDHUP : events;
}

bool registrations_note(struct registrations *r, int epfd, int op, int fd, uint32_t events,
                        uint64_t data)
{
    struct registration *which = find(r, epfd, fd);

    if (op == EPOLL_CTL_DEL) {
        if (which)
            erase(r, which);
        return true;
    }
    if (!which) {
        if (r->count == REGISTRATIONS_MAX)
            return false;
        which = &r->set[r->count++];
    }
    r->asks_end |= (events & EPOLLRDHUP) != 0;
    if (events & EPOLLEXCLUSIVE)
        atomic_store_explicit(&registrations_exclusive, true, memory_order_relaxed);
    *which = (struct registration){ .epfd = epfd, .fd = fd, .events = events, .data = data,
                                    .extra = registrations_mask(r, events) != events,
                                    .made = atomic_load_explicit(&registrations_numbers, memory_order_relaxed) };
    return true;
}

/* The mask in force: one that fired under EPOLLONESHOT is empty, and must stay so.
 * "tfd:       10 events:       19 data: ..." in /proc/self/fdinfo/EPFD, proc(5). */
static uint32_t armed(const struct registration *which)
{
    if (!(which->events & EPOLLONESHOT))
        return which->events;
    char path[48], text[512];
    size_t len = 0;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", which->epfd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return which->events;
    uint32_t mask = which->events;
    while ((n = real.read(fd, text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)n;
        text[len] = '\0';
        char *line = text, *end;
        for (; (end = strchr(line, '\n')); line = end + 1) {
            char *events = strstr(line, "events:");
            if (strncmp(line, "tfd:", 4) == 0 && number_at(line + 4, 10) == (uint64_t)which->fd && events)
                mask = (uint32_t)number_at(events + 7, 16);
        }
        len -= (size_t)(line - text);
        memmove(text, line, len);
    }
    real.close(fd);
    return which->extra ? mask & ~(uint32_t)EPOLLRDHUP : mask;
}

static bool has_fired(const struct registration *which)
{
    return which->events & EPOLLONESHOT && !(armed(which) & ~SILENT);
}

/* Whoever waits on the set would wait for ever: what may pass (memory, the user's limit) is given a second
 * and a third chance. */
static int control(int epfd, int op, int fd, struct epoll_event *event)
{
    int result = -1;

    for (int tries = 0; tries < 3 && result != 0; tries++) {
        result = real.epoll_ctl(epfd, op, fd, event);
        if (result != 0 && (errno == EBADF || errno == EINVAL))
            break; /* closed, or no set any more */
    }
    return result;
}

void registrations_untell(struct registration *which)
{
    struct epoll_event event = { .events = which->events, .data.u64 = which->data };
    int saved = errno;

    control(which->epfd, which->out ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, which->fd, &event);
    which->extra = which->fired = which->out = false;
    errno = saved;
}

static void take_out(struct registration *which)
{
    which->out = control(which->epfd, EPOLL_CTL_DEL, which->fd, NULL) == 0;
}

void registrations_disarm(struct registration *which)
{
    int saved = errno;

    if (which->events & EPOLLONESHOT && !which->out) {
        which->fired = true;
        take_out(which);
    }
    errno = saved;
}

void registrations_silence(struct registration *which)
{
    struct epoll_event event = { .events = which->events & SILENT, .data.u64 = which->data };
    int saved = errno;

    if (!(which->events & EPOLLEXCLUSIVE)) /* epoll_ctl(2): such a one cannot be changed */
        control(which->epfd, EPOLL_CTL_MOD, which->fd, &event);
    errno = saved;
}

void registrations_unwatch(struct registrations *r)
{
    r->watched = false;
    for (int i = 0; i < r->count; i++) {
        struct registration *which = &r->set[i];
        if (which->extra && !which->out && !has_fired(which))
            registrations_untell(which);
        which->extra = false;
    }
}

void registrations_remove(struct registrations *r)
{
    if (r->count == 0)
        return;
    int saved = errno;

    for (int i = 0; i < r->count; i++) {
        struct registration *which = &r->set[i];
        if (which->out)
            continue;
        which->fired = has_fired(which);
        take_out(which);
    }
    errno = saved;
}

/* epoll(7): a registration outlives its number where a copy of that is open; but nothing could take it out
 * before a swap then.  So it goes on under the copy, with the same data. */
void registrations_move(struct registrations *r, int fd, int copy)
{
    int saved = errno;

    for (int i = r->count; i-- > 0;) {
        struct registration *which = &r->set[i];
        if (which->fd != fd)
            continue;
        if (which->out) {
            which->fd = copy;
            continue;
        }
        struct registration moved = *which;
        struct epoll_event event = { .events = which->events, .data.u64 = which->data };
        moved.fd = copy;
        moved.extra = false;
        moved.fired = moved.out = has_fired(which);
        if (real.epoll_ctl(which->epfd, EPOLL_CTL_DEL, fd, NULL) != 0 || find(r, which->epfd, copy) ||
            (!moved.fired && real.epoll_ctl(which->epfd, EPOLL_CTL_ADD, copy, &event) != 0))
            erase(r, which);
        else
            *which = moved;
    }
    errno = saved;
}

/* What could not be taken out was not there any more (the set was closed): it does not come back. */
void registrations_restore(struct registrations *r)
{
    if (r->count == 0)
        return;
    int saved = errno;

    for (int i = r->count; i-- > 0;) {
        struct registration *which = &r->set[i];
        if (which->out && which->fired)
            continue;
        struct epoll_event event = { .events = registrations_mask(r, which->events), .data.u64 = which->data };
        which->extra = event.events != which->events;
        if (!which->out || control(which->epfd, EPOLL_CTL_ADD, which->fd, &event) != 0)
            erase(r, which);
        else
            which->out = false;
    }
    errno = saved;
}

void registrations_let_go(struct registrations *r)
{
    int saved = errno;

    if (r->watched)
        registrations_unwatch(r);
    for (int i = 0; i < r->count; i++) {
        struct registration *which = &r->set[i];
        struct epoll_event event = { .events = which->events & SILENT, .data.u64 = which->data };
        if (which->out && which->fired && which->made == atomic_load(&registrations_numbers))
            control(which->epfd, EPOLL_CTL_ADD, which->fd, &event);
    }
    errno = saved;
}

int registrations_operation(const struct registrations *r, int epfd, int op, int fd)
{
    for (int i = 0; i < r->count; i++) {
        const struct registration *which = &r->set[i];
        if (which->epfd == epfd && which->fd == fd && which->out && op != EPOLL_CTL_ADD) /* perhaps to a new set */
            return op == EPOLL_CTL_MOD ? EPOLL_CTL_ADD : 0;
    }
    return op;
}

void registrations_lose(struct registrations *r, int fd)
{
    for (int i = r->count; i-- > 0;)
        if (r->set[i].fd == fd)
            erase(r, &r->set[i]);
}

void registrations_drop(struct registrations *r, int fd)
{
    if (r->count == 0)
        return;
    int saved = errno;

    for (int i = r->count; i-- > 0;)
        if (r->set[i].fd == fd) {
            real.epoll_ctl(r->set[i].epfd, EPOLL_CTL_DEL, fd, NULL);
            erase(r, &r->set[i]);
        }
    errno = saved;
}
