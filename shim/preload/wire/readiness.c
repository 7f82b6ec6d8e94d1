/* SPDX-License-Identifier: ISC */
/* The filter behind all waits, and what poll has of its own; select and epoll have theirs in readiness_select.c and
 * readiness_epoll.c. */
#define _GNU_SOURCE
#include "preload/wire/readiness.h"

#include "preload/wire/endwait.h"
#include "preload/wire/incoming.h"
#include "preload/wire/listening.h"
#include "preload/wire/lookahead.h"
#include "preload/wire/provisional.h"
#include "preload/conn/deferred.h"
#include "preload/conn/swap.h"
#include "preload/libc/real.h"
#include "preload/wire/readiness_kinds.h"
#include "preload/fds/table.h"

#include <errno.h>
#include <string.h>

enum { NANO = 1000000000 };

void readiness_begin(struct readiness_time *t, const struct timespec *time)
{
    t->for_ever = !time;
    if (!time)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t->until);
    t->left = *time;
    t->until.tv_sec += time->tv_sec;
    t->until.tv_nsec += time->tv_nsec;
    if (t->until.tv_nsec >= NANO) {
        t->until.tv_nsec -= NANO;
        t->until.tv_sec++;
    }
}

const struct timespec *readiness_left(struct readiness_time *t)
{
    struct timespec now;

    if (t->for_ever)
        return NULL;
    clock_gettime(CLOCK_MONOTONIC, &now);
    t->left = (struct timespec){ t->until.tv_sec - now.tv_sec, t->until.tv_nsec - now.tv_nsec };
    if (t->left.tv_nsec < 0) {
        t->left.tv_nsec += NANO;
        t->left.tv_sec--;
    }
    if (t->left.tv_sec < 0)
        t->left = (struct timespec){ 0 };
    return &t->left;
}

const struct timespec *readiness_time(int ms, struct timespec *room)
{
    *room = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    return ms < 0 ? NULL : room;
}

int readiness_ms(const struct timespec *time)
{
    return time ? (int)(time->tv_sec * 1000 + (time->tv_nsec + 999999) / 1000000) : -1;
}

bool readiness_is_borrowed(int fd)
{
    const struct conn *c = conn_find(fd);

    return c && atomic_load_explicit(&c->borrowed, memory_order_relaxed);
}

void readiness_before_read(int fd)
{
    struct conn *c = conn_enter(fd, NEED_AS_IS);

    if (!c)
        return;
    if (conn_is_exchange(c))
        incoming_awaits_end(c);
    conn_leave(c);
}

enum readiness_sight readiness_look(int fd, bool writing, uint32_t told)
{
    struct conn *c = readiness_is_borrowed(fd) ? conn_enter(fd, NEED_AS_IS) : NULL;
    enum readiness_sight sight = SIGHT_TRUE;

    if (!c)
        return SIGHT_TRUE;
    if (!conn_wait_turn(c)) {
        sight = SIGHT_REPLACED;
    } else if (provisional_is_dead(c)) {
        if (conn_is_leased(c) && writing)
            sight = SIGHT_WRITABLE;
        else if (provisional_mend(c) == 0)
            sight = SIGHT_REPLACED;
    } else if (readiness_hides_hangup(c, told)) {
        sight = SIGHT_HUNG_UP;
    } else if (told & (POLLIN | POLLRDNORM) && lookahead_takes_all(c)) {
        sight = SIGHT_NOTHING;
    }
    conn_leave(c);
    return sight;
}

/* Another thread may lease one while this one waits: so the question is asked again behind the call. */
int readiness_wait(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    static const struct timespec no_time;
    bool looks = w->family->begin(w);
    struct readiness_time t;

    if (looks)
        readiness_begin(&t, time);
    for (;; time = looks ? readiness_left(&t) : time) {
        bool last = looks && time == &t.left && time->tv_sec == 0 && time->tv_nsec == 0; /* asked again, when it is over */
        w->again = false;
        w->replaced = atomic_load(&swap_replaced);
        int ready = w->call(w, time, mask);
        if (ready > 0 && w->family->ended(w, ready))
            ready = w->call(w, &no_time, mask);
        if (ready < 0 || (!looks && !readiness_any() && atomic_load(&swap_replaced) == w->replaced))
            return ready;
        if (w->again)
            continue;
        int told = w->family->tell(w, ready);
        bool outdated = looks && w->family->says_again && atomic_load(&swap_replaced) != w->replaced;
        if (ready == 0 || (told > 0 && !outdated) || (told == 0 && last))
            return told;
    }
}

/* ---- poll ---- */

static bool poll_begin(struct wait *w)
{
    const struct pollfd *fds = w->poll.fds;
    bool any = false;

    w->poll.asked = w->poll.fds;
    if (!fds)
        return false;
    bool listens = listening_poll_needed(fds, w->poll.n);
    for (nfds_t i = 0; readiness_any() && i < w->poll.n; i++) {
        if (!readiness_is_borrowed(fds[i].fd))
            continue;
        any = true;
        if (fds[i].events & (POLLIN | POLLRDNORM))
            readiness_before_read(fds[i].fd);
    }
    if (any && w->poll.n <= READINESS_POLLED)
        w->poll.asked = w->poll.room;
    return any || listens;
}

static void ask_more(struct wait *w)
{
    if (w->poll.asked == w->poll.fds)
        return;
    memcpy(w->poll.asked, w->poll.fds, w->poll.n * sizeof *w->poll.fds);
    for (nfds_t i = 0; i < w->poll.n; i++) {
        if (w->poll.hung_up >> i & 1)
            w->poll.asked[i].fd = -1;
        else if (!w->poll.hung_up && readiness_is_borrowed(w->poll.fds[i].fd))
            w->poll.asked[i].events |= POLLRDHUP;
    }
}

static int call_ppoll(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    ask_more(w);
    return listening_ppoll(w->poll.asked, w->poll.n, time, mask, &w->again);
}

static int call_poll(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    if (mask || listening_poll_needed(w->poll.fds, w->poll.n))
        return call_ppoll(w, time, mask);
    ask_more(w);
    return real.poll(w->poll.asked, w->poll.n, readiness_ms(time));
}

static int forget(struct pollfd *fds, nfds_t n)
{
    for (nfds_t i = 0; i < n; i++)
        fds[i].revents = 0;
    return 0;
}

/* Sets `revents` to what the client is told.  One that it is not told of must not be told again at once: then it is not
 * asked for any more, or, where both sides have ended, which is told unasked, not at all. */
static int poll_tell(struct wait *w, int ready)
{
    const short ends = POLLERR | POLLHUP | POLLRDHUP, writing = POLLOUT | POLLWRNORM, reading = POLLIN | POLLRDNORM;
    struct pollfd *fds = w->poll.fds;
    uint64_t hung_up = 0;
    bool nothing = false;
    int told = 0;

    for (nfds_t i = 0; i < w->poll.n; i++) {
        short events = w->poll.asked[i].revents;
        if (events & (ends | reading)) {
            enum readiness_sight sight = readiness_look(fds[i].fd, fds[i].events & writing, (unsigned short)events);
            if (sight == SIGHT_REPLACED)
                return forget(fds, w->poll.n);
            nothing |= sight == SIGHT_NOTHING;
            events &= sight == SIGHT_NOTHING ? ~reading : ~0;
            events = sight == SIGHT_WRITABLE ? fds[i].events & writing : events & (fds[i].events | ~POLLRDHUP);
            if (sight == SIGHT_HUNG_UP && (w->poll.asked != fds || events & ~POLLHUP)) {
                events &= ~POLLHUP;
                hung_up |= events ? 0 : 1ull << i;
            }
        }
        fds[i].revents = events;
        told += events != 0;
    }
    w->poll.hung_up |= told ? 0 : hung_up;
    if (told == 0 && ready > 0 && !w->poll.hung_up && !nothing)
        w->poll.asked = fds;
    return told;
}

static bool poll_ended(struct wait *w, int ready)
{
    (void)ready;
    return endwait_ended(w->poll.fds, w->poll.asked, w->poll.n);
}

static bool poll_repeats(struct wait *w)
{
    (void)w;
    return true;
}

static bool poll_deferred(struct wait *w)
{
    return deferred_polled(w->poll.fds, w->poll.n);
}

static int poll_tell_deferred(struct wait *w, int ready)
{
    return deferred_tell_poll(w->poll.fds, w->poll.n, ready);
}

static bool poll_awaits_end(struct wait *w)
{
    return w->poll.fds && endwait_poll(w->poll.fds, w->poll.n);
}

void readiness_of_poll(struct wait *w, bool masked, struct pollfd *fds, nfds_t n)
{
    static const struct wait_family family = { poll_begin,    poll_tell,          poll_ended,     poll_repeats,
                                               poll_deferred, poll_tell_deferred, poll_awaits_end, true };

    w->family = &family;
    w->call = masked ? call_ppoll : call_poll;
    w->poll.fds = w->poll.asked = fds;
    w->poll.n = n;
    w->poll.hung_up = 0;
}
