/* An event says which registration it is of by the client's own data only.  So where one tells of an end, the
 * borrowed connections are looked through for it. */
#define _GNU_SOURCE
#include "preload/wire/readiness.h"

#include "preload/wire/provisional.h"
#include "preload/libc/real.h"

#include <errno.h>

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
    }
    if (!r->extra)
        return;
    t->event.events &= ~(uint32_t)EPOLLRDHUP;
    if (t->event.events == 0)
        registrations_untell(r);
}

/* Of a locked conn. */
static bool consider(struct conn *c, void *arg)
{
    struct telling *t = arg;
    struct registration *r = registrations_find(&c->registrations, t->epfd, t->event.data.u64);

    if (r)
        tell_of(c, r, t);
    return r;
}

/* Takes out what the client is not told; returns how many events are left. */
static int pick(int epfd, struct epoll_event *events, int ready)
{
    const uint32_t ends = EPOLLERR | EPOLLHUP | EPOLLRDHUP;
    int told = 0;

    for (int i = 0; i < ready; i++) {
        struct telling t = { .epfd = epfd, .event = events[i] };
        if (t.event.events & ends)
            conn_each_borrowed(consider, &t);
        if (t.event.events)
            events[told++] = t.event;
    }
    return told;
}

typedef int wait_call(int epfd, struct epoll_event *events, int most, const struct timespec *time,
                      const sigset_t *mask);

static int wait_plainly(int epfd, struct epoll_event *events, int most, const struct timespec *time,
                        const sigset_t *mask)
{
    (void)mask;
    return real.epoll_wait(epfd, events, most, readiness_ms(time));
}

static int wait_masked(int epfd, struct epoll_event *events, int most, const struct timespec *time,
                       const sigset_t *mask)
{
    return real.epoll_pwait(epfd, events, most, readiness_ms(time), mask);
}

/* Another thread may lease one meanwhile. */
static int wait_on(wait_call *wait, int epfd, struct epoll_event *events, int most, const struct timespec *time,
                   const sigset_t *mask)
{
    struct readiness_time t = { .for_ever = true };
    bool any = readiness_any();
    int ready;

    if (any)
        readiness_begin(&t, time);
    while ((ready = wait(epfd, events, most, time, mask)) > 0 && readiness_any() &&
           (ready = pick(epfd, events, ready)) == 0)
        time = any ? readiness_left(&t) : time;
    return ready;
}

int readiness_epoll_wait(int epfd, struct epoll_event *events, int most, int ms)
{
    struct timespec room;

    return wait_on(wait_plainly, epfd, events, most, readiness_time(ms, &room), NULL);
}

int readiness_epoll_pwait(int epfd, struct epoll_event *events, int most, int ms, const sigset_t *mask)
{
    struct timespec room;

    return wait_on(wait_masked, epfd, events, most, readiness_time(ms, &room), mask);
}

int readiness_epoll_pwait2(int epfd, struct epoll_event *events, int most, const struct timespec *time,
                           const sigset_t *mask)
{
    return wait_on(real.epoll_pwait2, epfd, events, most, time, mask);
}
