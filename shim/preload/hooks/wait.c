/* Waiting.  What the kernel says of readiness is true and passes as it is; but a process that waits for long
 * has no use for the idle connections that it kept, and others may; and what it waits for may be a server that
 * serves one connection at a time (stall.h).  Only then is a wait split: into turns, and after each in which
 * nothing has happened something is let go.  What is ready already needs no splitting: a look comes before.
 *
 * A signal that came between two turns of a wait would interrupt neither.  So signals are held over all, and let
 * through by the turns themselves, which the kernel does in one step. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/wire/endwait.h"
#include "preload/conn/deferred.h"
#include "preload/wire/readiness.h"
#include "preload/share/shared.h"
#include "preload/libc/signals.h"
#include "preload/conn/stall.h"
#include "preload/wire/withheld.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

enum { SHORT_MS = 20, FD_SETS_MOST = 8192 };

static const struct timespec no_time;

static bool may_split(void)
{
    return shared_keeps() || stall_any() || withheld_any();
}

/* Is a wait of so long one to be split?  Negative: for ever. */
static bool splits(int ms)
{
    return may_split() && (ms < 0 || ms > SHORT_MS);
}

static bool splits_time(const struct timespec *time)
{
    if (!may_split())
        return false;
    return !time || (time->tv_nsec >= 0 && time->tv_nsec < 1000000000L &&
                     (time->tv_sec > 0 || (time->tv_sec == 0 && time->tv_nsec > SHORT_MS * 1000000L)));
}

/* What is left of a wait. */
struct turns {
    bool for_ever;
    struct timespec left;
};

static struct turns turns_of(const struct timespec *time)
{
    return (struct turns){ .for_ever = !time, .left = time ? *time : no_time };
}

/* The time for a last turn. */
static const struct timespec *rest_of(const struct turns *t)
{
    return t->for_ever ? NULL : &t->left;
}

/* The time for a turn that is not the last one; NULL: there is none. */
static const struct timespec *next_turn(struct turns *t, struct timespec *turn)
{
    int ms = shared_keeps() ? SHORT_MS : stall_any() ? stall_turn_ms() : 0;

    if (withheld_any() && (ms == 0 || ms > withheld_turn_ms()))
        ms = withheld_turn_ms();

    *turn = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    if (ms == 0 || t->for_ever)
        return ms ? turn : NULL;
    struct timespec left = { t->left.tv_sec - turn->tv_sec, t->left.tv_nsec - turn->tv_nsec };
    if (left.tv_nsec < 0) {
        left.tv_sec--;
        left.tv_nsec += 1000000000L;
    }
    if (left.tv_sec < 0)
        return NULL;
    t->left = left;
    return turn;
}

static void let_go(void)
{
    if (shared_keeps())
        shared_give_all();
    if (stall_any())
        stall_relieve();
    if (withheld_any())
        withheld_release_due();
}

static const struct timespec *as_time(int ms, struct timespec *time)
{
    *time = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    return ms < 0 ? NULL : time;
}

/* 0: nothing that the kernel does not know of. */
static int poll_ends(struct pollfd *fds, nfds_t n, const sigset_t *mask)
{
    int ended = deferred_any() ? deferred_poll(fds, n, mask) : 0;

    if (!ended)
        deferred_before_wait();
    return ended;
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
    struct timespec time;
    if (fds && endwait_poll(fds, n) && ms)
        return ppoll(fds, n, as_time(ms, &time), NULL);
    int ended = poll_ends(fds, n, NULL);
    if (ended)
        return ended;
    int saved = errno;
    int result = splits(ms) ? ppoll(fds, n, as_time(ms, &time), NULL) : -1;
    if (splits(ms) && (result >= 0 || (errno != EPERM && errno != EACCES && errno != ENOSYS)))
        return result;
    errno = saved; /* a policy refuses the one call, and not the other */
    return readiness_poll(fds, n, ms);
}

int __poll(struct pollfd *fds, nfds_t n, int ms)
{
    return poll(fds, n, ms);
}

/* A fortified program's. */
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room)
{
    return room / sizeof *fds >= n ? poll(fds, n, ms) : real.__poll_chk(fds, n, ms, room);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask)
{
    struct readiness_time t;
    if (fds && endwait_poll(fds, n)) {
        readiness_begin(&t, time);
        int found = endwait_ppoll(fds, n, &t, mask, let_go);
        if (found)
            return found;
        time = readiness_left(&t);
    }
    int ended = poll_ends(fds, n, mask);
    if (ended)
        return ended;
    if (!splits_time(time))
        return readiness_ppoll(fds, n, time, mask);
    int result = readiness_ppoll(fds, n, &no_time, mask);
    if (result != 0)
        return result;
    sigset_t own;
    signals_hold(&own);
    if (!mask)
        mask = &own;
    struct turns turns = turns_of(time);
    struct timespec room;
    const struct timespec *turn;
    while (result == 0 && (turn = next_turn(&turns, &room)) && (result = readiness_ppoll(fds, n, turn, mask)) == 0)
        let_go();
    if (result == 0)
        result = readiness_ppoll(fds, n, rest_of(&turns), mask);
    signals_release(&own);
    return result;
}

int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask, size_t room)
{
    return room / sizeof *fds >= n ? ppoll(fds, n, time, mask) : real.__ppoll_chk(fds, n, time, mask, room);
}

static int ends(int epfd, struct epoll_event *events, int most, const sigset_t *mask)
{
    int ended = deferred_any() ? deferred_epoll(epfd, events, most, mask) : 0;

    if (!ended)
        deferred_before_wait();
    return ended;
}

int epoll_wait(int epfd, struct epoll_event *events, int most, int ms)
{
    if (endwait_epoll(epfd) && ms)
        return epoll_pwait(epfd, events, most, ms, NULL);
    int ended = ends(epfd, events, most, NULL);
    if (ended)
        return ended;
    return splits(ms) ? epoll_pwait(epfd, events, most, ms, NULL) : readiness_epoll_wait(epfd, events, most, ms);
}

/* epoll_pwait2(2) for kernels without it, and for a libc. */
static int wait_turn(int epfd, struct epoll_event *events, int most, const struct timespec *time,
                     const sigset_t *mask)
{
    int ms = time ? (int)(time->tv_sec * 1000 + (time->tv_nsec + 999999) / 1000000) : -1;

    return readiness_epoll_pwait(epfd, events, most, ms, mask);
}

/* A wait that is split.  `whole`: how the rest is waited for. */
static int wait_turns(int epfd, struct epoll_event *events, int most, const struct timespec *time,
                      const sigset_t *mask,
                      int (*whole)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *))
{
    int result = mask ? readiness_epoll_pwait(epfd, events, most, 0, mask) : readiness_epoll_wait(epfd, events, most, 0);

    if (result != 0)
        return result;
    sigset_t own;
    signals_hold(&own);
    if (!mask)
        mask = &own;
    struct turns turns = turns_of(time);
    struct timespec room;
    const struct timespec *turn;
    while (result == 0 && (turn = next_turn(&turns, &room)) &&
           (result = wait_turn(epfd, events, most, turn, mask)) == 0)
        let_go();
    if (result == 0)
        result = whole(epfd, events, most, rest_of(&turns), mask);
    signals_release(&own);
    return result;
}

int epoll_pwait(int epfd, struct epoll_event *events, int most, int ms, const sigset_t *mask)
{
    struct timespec time;
    struct readiness_time t;
    if (endwait_epoll(epfd)) {
        readiness_begin(&t, as_time(ms, &time));
        int found = endwait_pwait((struct endwait_set){ epfd, events, most }, &t, mask, let_go);
        if (found)
            return found;
        ms = readiness_ms(readiness_left(&t));
    }
    int ended = ends(epfd, events, most, mask);
    if (ended)
        return ended;
    if (!splits(ms))
        return readiness_epoll_pwait(epfd, events, most, ms, mask);
    return wait_turns(epfd, events, most, as_time(ms, &time), mask, wait_turn);
}

int epoll_pwait2(int epfd, struct epoll_event *events, int most, const struct timespec *time, const sigset_t *mask)
{
    int ended = ends(epfd, events, most, mask);
    if (ended)
        return ended;
    if (!splits_time(time))
        return readiness_epoll_pwait2(epfd, events, most, time, mask);
    return wait_turns(epfd, events, most, time, mask, readiness_epoll_pwait2);
}

/* select(2) empties its sets when the time is over, so the short turn works on copies. */
struct sets {
    fd_set *given[3], *copies[3];
    size_t len;
    char room[3][FD_SETS_MOST / 8] __attribute__((aligned(__alignof__(fd_set))));
};

static bool copy_sets(struct sets *sets, int n, fd_set *in, fd_set *out, fd_set *except)
{
    const size_t bits = 8 * sizeof(long);
    fd_set *given[3] = { in, out, except };

    if (n < 0 || n > FD_SETS_MOST)
        return false;
    sets->len = ((size_t)n + bits - 1) / bits * sizeof(long);
    for (int i = 0; i < 3; i++) {
        sets->given[i] = given[i];
        sets->copies[i] = given[i] ? memcpy(sets->room[i], given[i], sets->len) : NULL;
    }
    return true;
}

static void return_sets(const struct sets *sets)
{
    for (int i = 0; i < 3; i++)
        if (sets->copies[i])
            memcpy(sets->given[i], sets->copies[i], sets->len);
}

/* Some of them have ended. */
static int select_ends(int n, fd_set *in, fd_set *out, fd_set *except, const sigset_t *mask)
{
    struct sets sets;

    copy_sets(&sets, n, in, out, except);
    int ready = readiness_pselect(n, sets.copies[0], sets.copies[1], sets.copies[2], &no_time, mask);
    if (ready < 0)
        return ready;
    ready += deferred_select(n, in, sets.copies[0]);
    return_sets(&sets);
    return ready;
}

/* Linux leaves in *time what was not waited; pselect does not. */
static void subtract(struct timeval *time, const struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long us = (now.tv_sec - since->tv_sec) * 1000000L + (now.tv_nsec - since->tv_nsec) / 1000;
    time->tv_sec -= us / 1000000;
    time->tv_usec -= us % 1000000;
    if (time->tv_usec < 0) {
        time->tv_usec += 1000000;
        time->tv_sec--;
    }
    if (time->tv_sec < 0)
        *time = (struct timeval){ 0 };
}

int select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *time)
{
    bool odd = time && (time->tv_sec < 0 || time->tv_usec < 0 || time->tv_usec >= 1000000);
    bool brief = time && time->tv_sec == 0 && time->tv_usec <= (suseconds_t)SHORT_MS * 1000;

    if ((!may_split() && !deferred_any()) || odd || n < 0 || n > FD_SETS_MOST) {
        deferred_before_wait();
        return readiness_select(n, in, out, except, time);
    }
    if (deferred_any() && deferred_selected(n, in))
        return select_ends(n, in, out, except, NULL);
    deferred_before_wait();
    if (!may_split() || brief)
        return readiness_select(n, in, out, except, time);
    struct timespec since, whole = { 0 };
    if (time)
        whole = (struct timespec){ .tv_sec = time->tv_sec, .tv_nsec = time->tv_usec * 1000L };
    clock_gettime(CLOCK_MONOTONIC, &since);
    int result = pselect(n, in, out, except, time ? &whole : NULL, NULL);
    int saved = errno;
    if (time)
        subtract(time, &since);
    errno = saved;
    return result;
}

int __select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *time)
{
    return select(n, in, out, except, time);
}

int pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *time,
            const sigset_t *mask)
{
    struct sets sets;

    if (deferred_any() && n >= 0 && n <= FD_SETS_MOST && deferred_selected(n, in))
        return select_ends(n, in, out, except, mask);
    deferred_before_wait();
    if (!splits_time(time) || !copy_sets(&sets, n, in, out, except))
        return readiness_pselect(n, in, out, except, time, mask);
    int result = readiness_pselect(n, sets.copies[0], sets.copies[1], sets.copies[2], &no_time, mask);
    if (result > 0)
        return_sets(&sets);
    if (result != 0)
        return result;
    copy_sets(&sets, n, in, out, except);
    sigset_t own;
    signals_hold(&own);
    if (!mask)
        mask = &own;
    struct turns turns = turns_of(time);
    struct timespec room;
    const struct timespec *turn;
    while (result == 0 && (turn = next_turn(&turns, &room))) {
        result = readiness_pselect(n, sets.copies[0], sets.copies[1], sets.copies[2], turn, mask);
        if (result > 0)
            return_sets(&sets);
        if (result == 0) {
            copy_sets(&sets, n, in, out, except);
            let_go();
        }
    }
    if (result == 0)
        result = readiness_pselect(n, in, out, except, rest_of(&turns), mask);
    signals_release(&own);
    return result;
}
