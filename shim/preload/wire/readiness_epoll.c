/* SPDX-License-Identifier: ISC */
/* An event says which registration it is of by the client's own data only.  So where one tells of an end, the
 * borrowed connections are looked through for it. */
#define _GNU_SOURCE
#include "preload/wire/readiness.h"

#include "preload/wire/endwait.h"
#include "preload/wire/lookahead.h"
#include "preload/wire/provisional.h"
#include "preload/conn/deferred.h"
#include "preload/conn/swap.h"
#include "preload/libc/real.h"

#include <errno.h>

static const uint32_t READING = EPOLLIN | EPOLLRDNORM;

atomic_bool readiness_blocking_in_set;

struct telling {
    int epfd;
    struct epoll_event event; /* what the kernel says; no events: the client is not told */
};

/* An ONESHOT registration has fired: so that it does not stay silent on the socket to come. */
static void rearm(struct registration *r)
{
    if (r->events & EPOLLONESHOT)
        registrations_untell(r);
}

/* Is it told of an end that the library alone has asked for? */
static bool tells_extra(const struct registration *r, const struct telling *t)
{
    return t->event.events & EPOLLRDHUP && !(r->events & EPOLLRDHUP);
}

static void tell_of(struct conn *c, struct registration *r, struct telling *t)
{
    const uint32_t writing = EPOLLOUT | EPOLLWRNORM;

    if (provisional_is_dead(c)) {
        if (conn_is_leased(c) && r->events & writing) {
            t->event.events = r->events & writing;
            return;
        }
        rearm(r);
        if (provisional_mend(c) == 0) {
            t->event.events = 0;
            return;
        }
        registrations_disarm(r);
    }
    if (readiness_hides_hangup(c, t->event.events) && t->event.events != EPOLLHUP)
        t->event.events &= ~(uint32_t)EPOLLHUP;
    if (t->event.events & READING && lookahead_takes_all(c)) {
        t->event.events &= ~READING;
        if (t->event.events == 0)
            rearm(r);
    }
    if (t->event.events == 0 || !tells_extra(r, t))
        return;
    t->event.events &= ~(uint32_t)EPOLLRDHUP;
    if (t->event.events == 0)
        registrations_untell(r);
}

/* Another socket got under the number since, or while, the kernel was asked: only what is true of that one is told. */
static bool compare(struct conn *c, void *arg)
{
    struct telling *t = arg;
    struct registration *r = registrations_find(&c->registrations, t->epfd, t->event.data.u64);
    struct pollfd now = { .events = (short)t->event.events };

    if (!r)
        return false;
    now.fd = r->fd;
    if (real.poll(&now, 1, 0) < 0)
        return true;
    t->event.events &= (uint32_t)(unsigned short)now.revents;
    if (tells_extra(r, t))
        t->event.events &= ~(uint32_t)EPOLLRDHUP;
    if (t->event.events == 0)
        registrations_untell(r);
    return true;
}

/* Of a locked conn.  Another thread may be connecting what it will put there. */
static bool consider(struct conn *c, void *arg)
{
    struct telling *t = arg;

    if (!registrations_find(&c->registrations, t->epfd, t->event.data.u64))
        return false;
    bool settled = conn_wait_turn(c);
    struct registration *r = registrations_find(&c->registrations, t->epfd, t->event.data.u64);
    if (r && settled)
        tell_of(c, r, t);
    else if (r) {
        t->event.events = 0;
        rearm(r);
    }
    return r;
}

/* Takes out what the client is not told. */
static int tell(struct wait *w, int ready)
{
    const bool each = atomic_load_explicit(&registrations_exclusive, memory_order_relaxed) ||
                      atomic_load_explicit(&readiness_blocking_in_set, memory_order_relaxed);
    const uint32_t ends = EPOLLERR | EPOLLHUP | EPOLLRDHUP | (each ? READING : 0);
    struct epoll_event *events = w->epoll.events;
    int told = 0;

    for (int i = 0; i < ready; i++) {
        struct telling t = { .epfd = w->epoll.epfd, .event = events[i] };
        if (t.event.events & ends)
            conn_each_entered(false, consider, &t);
        if (t.event.events & ends && atomic_load(&swap_replaced) != w->replaced)
            conn_each_entered(true, compare, &t);
        if (t.event.events)
            events[told++] = t.event;
    }
    return told;
}

/* The end is added to what the events say already. */
static bool ended(struct wait *w, int ready)
{
    for (int i = 0; i < ready && endwait_any(ENDWAIT_WITH_BYTES); i++)
        if (w->epoll.events[i].events & (EPOLLIN | EPOLLRDNORM))
            endwait_tell(w->epoll.epfd, &w->epoll.events[i]);
    return false;
}

static int call_pwait2(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    return real.epoll_pwait2(w->epoll.epfd, w->epoll.events, w->epoll.most, time, mask);
}

static int call_pwait(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    return real.epoll_pwait(w->epoll.epfd, w->epoll.events, w->epoll.most, readiness_ms(time), mask);
}

static int call_wait(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    if (mask)
        return call_pwait(w, time, mask);
    return real.epoll_wait(w->epoll.epfd, w->epoll.events, w->epoll.most, readiness_ms(time));
}

static bool begin(struct wait *w)
{
    (void)w;
    return readiness_any();
}

static bool repeats(struct wait *w)
{
    (void)w;
    return true;
}

static bool deferred(struct wait *w)
{
    return deferred_waited(w->epoll.epfd, w->epoll.events, w->epoll.most);
}

static int tell_deferred(struct wait *w, int ready)
{
    return deferred_tell_epoll(w->epoll.epfd, w->epoll.events, ready, w->epoll.most);
}

static bool awaits_end(struct wait *w)
{
    return endwait_epoll(w->epoll.epfd);
}

void readiness_of_epoll(struct wait *w, enum readiness_epoll how, int epfd, struct epoll_event *events, int most)
{
    static const struct wait_family family = { begin, tell, ended, repeats, deferred, tell_deferred, awaits_end, false };

    w->family = &family;
    w->call = how == READINESS_WAIT ? call_wait : how == READINESS_PWAIT ? call_pwait : call_pwait2;
    w->epoll.epfd = epfd;
    w->epoll.events = events;
    w->epoll.most = most;
}
