/* poll and select; those of epoll are in readiness_epoll.c. */
#define _GNU_SOURCE
#include "preload/wire/readiness.h"

#include "preload/wire/incoming.h"
#include "preload/wire/provisional.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <string.h>

enum {
    POLL_COPIED = 64,  /* of more, the ends that come without an error show when the client receives */
    SETS_MOST = 8192,
    NANO = 1000000000,
};

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

static bool is_borrowed(int fd)
{
    const struct conn *c = conn_find(fd);

    return c && atomic_load_explicit(&c->borrowed, memory_order_relaxed);
}

/* The client waits to read from a borrowed number, where nothing more may come: exchange_awaits_end. */
static void before_read(int fd)
{
    struct conn *c = conn_enter(fd, NEED_AS_IS);

    if (!c)
        return;
    if (conn_is_exchange(c))
        incoming_awaits_end(c);
    conn_leave(c);
}

enum sight { TRUE, WRITABLE, REPLACED };

/* Of a number that is ready.  `writing`: the client waits to write, too. */
static enum sight look(int fd, bool writing)
{
    struct conn *c = is_borrowed(fd) ? conn_enter(fd, NEED_AS_IS) : NULL;
    enum sight sight = TRUE;

    if (!c)
        return TRUE;
    if (provisional_is_dead(c)) {
        if (conn_is_leased(c) && writing)
            sight = WRITABLE;
        else if (provisional_mend(c) == 0)
            sight = REPLACED;
    }
    conn_leave(c);
    return sight;
}

/* ---- poll ---- */

static bool any_borrowed(const struct pollfd *fds, nfds_t n)
{
    bool any = false;

    for (nfds_t i = 0; i < n; i++) {
        if (!is_borrowed(fds[i].fd))
            continue;
        any = true;
        if (fds[i].events & (POLLIN | POLLRDNORM))
            before_read(fds[i].fd);
    }
    return any;
}

static void ask_more(struct pollfd *more, const struct pollfd *fds, nfds_t n)
{
    memcpy(more, fds, n * sizeof *fds);
    for (nfds_t i = 0; i < n; i++)
        if (is_borrowed(fds[i].fd))
            more[i].events |= POLLRDHUP;
}

/* Sets `revents` to what the client is told; returns of how many, or -1: wait again. */
static int tell(struct pollfd *fds, const struct pollfd *more, nfds_t n)
{
    const short ends = POLLERR | POLLHUP | POLLRDHUP, writing = POLLOUT | POLLWRNORM;
    int told = 0;

    for (nfds_t i = 0; i < n; i++) {
        short events = more[i].revents;
        if (events & ends) {
            enum sight sight = look(fds[i].fd, fds[i].events & writing);
            if (sight == REPLACED)
                return -1;
            events = sight == WRITABLE ? fds[i].events & writing : events & (fds[i].events | ~POLLRDHUP);
        }
        fds[i].revents = events;
        told += events != 0;
    }
    return told;
}

/* One that the client is not told of must not be told again at once: then it is not asked for any more. */
static int poll_on(struct pollfd *fds, nfds_t n, struct readiness_time *t, const sigset_t *mask)
{
    struct pollfd room[POLL_COPIED], *more = n <= POLL_COPIED ? room : fds;

    for (const struct timespec *left = t->for_ever ? NULL : &t->left;; left = readiness_left(t)) {
        if (more != fds)
            ask_more(more, fds, n);
        int ready = real.ppoll(more, n, left, mask);
        if (ready < 0)
            return ready;
        int told = tell(fds, more, n);
        if (told > 0 || (told == 0 && ready == 0))
            return told;
        if (told == 0)
            more = fds;
    }
}

int readiness_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask)
{
    struct readiness_time t;

    if (!readiness_any() || !any_borrowed(fds, n))
        return real.ppoll(fds, n, time, mask);
    readiness_begin(&t, time);
    return poll_on(fds, n, &t, mask);
}

int readiness_poll(struct pollfd *fds, nfds_t n, int ms)
{
    struct readiness_time t;
    struct timespec room;

    if (!readiness_any() || !any_borrowed(fds, n))
        return real.poll(fds, n, ms);
    readiness_begin(&t, readiness_time(ms, &room));
    return poll_on(fds, n, &t, NULL);
}

/* ---- select ---- */

struct sets {
    fd_set *given[3];
    size_t len;
    char asked[3][SETS_MOST / 8] __attribute__((aligned(__alignof__(fd_set))));
};

static bool save(struct sets *sets, int n, fd_set *in, fd_set *out, fd_set *except)
{
    const size_t bits = 8 * sizeof(long);
    fd_set *given[3] = { in, out, except };
    bool any = false;

    if (n <= 0 || n > SETS_MOST || !in)
        return false;
    for (int fd = 0; fd < n; fd++) {
        if (!is_borrowed(fd) || !FD_ISSET(fd, in))
            continue;
        any = true;
        before_read(fd);
    }
    if (!any)
        return false;
    sets->len = ((size_t)n + bits - 1) / bits * sizeof(long);
    for (int i = 0; i < 3; i++) {
        sets->given[i] = given[i];
        if (given[i])
            memcpy(sets->asked[i], given[i], sets->len);
    }
    return true;
}

static void restore(const struct sets *sets)
{
    for (int i = 0; i < 3; i++)
        if (sets->given[i])
            memcpy(sets->given[i], sets->asked[i], sets->len);
}

/* Takes out of the result what the client is not told; returns how many bits are left, or -1: wait again. */
static int pick(struct sets *sets, int n, int ready)
{
    fd_set *in = sets->given[0], *out = sets->given[1];

    for (int fd = 0; fd < n; fd++) {
        if (!is_borrowed(fd) || !FD_ISSET(fd, in))
            continue;
        enum sight sight = look(fd, out && FD_ISSET(fd, (fd_set *)(void *)sets->asked[1]));
        if (sight == REPLACED)
            return -1;
        if (sight == TRUE)
            continue;
        FD_CLR(fd, in);
        ready--;
        if (!FD_ISSET(fd, out)) {
            FD_SET(fd, out);
            ready++;
        }
    }
    return ready;
}

int readiness_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *time)
{
    struct sets sets;
    int ready;

    if (!readiness_any() || !save(&sets, n, in, out, except))
        return real.select(n, in, out, except, time);
    /* Linux leaves in *time what was not waited. */
    while ((ready = real.select(n, in, out, except, time)) > 0 && (ready = pick(&sets, n, ready)) < 0)
        restore(&sets);
    return ready;
}

int readiness_pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *time,
                      const sigset_t *mask)
{
    struct readiness_time t;
    struct sets sets;

    if (!readiness_any() || !save(&sets, n, in, out, except))
        return real.pselect(n, in, out, except, time, mask);
    readiness_begin(&t, time);
    int ready = real.pselect(n, in, out, except, time, mask);
    while (ready > 0 && (ready = pick(&sets, n, ready)) < 0) {
        restore(&sets);
        ready = real.pselect(n, in, out, except, readiness_left(&t), mask);
    }
    return ready;
}
