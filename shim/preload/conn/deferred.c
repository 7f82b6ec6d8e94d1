/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/deferred.h"

#include "base/lock.h"
#include "preload/libc/real.h"
#include "preload/conn/parking.h"
#include "preload/conn/under.h"
#include "preload/self/self.h"
#include "preload/fds/socket.h"
#include "preload/fds/table.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MOST = 256 };

static struct {
    int hints[MOST]; /* where to look for them; the state is what counts.  One thread, and its signal handlers */
    atomic_uint used;
    _Atomic uint64_t good_set; /* see set_now: is a set, as long as the numbers are the same.  0: none known */
} our;

/* What the kernel says of the end-of-file socket (eof.h), or of an idle connection. */
static uint32_t shown(const struct conn *c, uint32_t events)
{
    uint32_t told = conn_has_ended(c) ? EPOLLIN | EPOLLRDNORM | EPOLLRDHUP : EPOLLOUT | EPOLLWRNORM;

    return (events & told) | (conn_has_ended(c) && c->after.write_shut ? EPOLLHUP : 0);
}

/* Only what asks for reading, as long as there is something: then nothing that the kernel says of the socket
 * itself has to be put together with it. */
static bool is_plain(uint32_t events)
{
    const uint32_t reading = EPOLLIN | EPOLLRDNORM | EPOLLRDHUP, fine = reading | EPOLLPRI | EPOLLERR | EPOLLHUP;

    return events & reading && !(events & ~fine);
}

static bool room(void)
{
    if (atomic_load(&conn_deferred) == 0)
        atomic_store(&our.used, 0);
    return atomic_load(&our.used) < MOST;
}

/* Nobody else can be waiting, or will be, without our seeing it. */
static bool is_ours_alone(const struct conn *c)
{
#if REAL_TIME64
    return false; /* waits under other names */
#endif
    return self_alone() && !self.forked && c->fds.count == 1 && c->fds.numbers[0].fd > STDERR_FILENO && room();
}

/* A number at most once: nothing is told twice. */
static void remember(const struct conn *c)
{
    unsigned i = 0, n = atomic_load(&our.used);

    while (i < n && our.hints[i] != c->fds.numbers[0].fd)
        i++;
    our.hints[i] = c->fds.numbers[0].fd;
    if (i == n)
        atomic_store(&our.used, n + 1);
}

/* An observed client does not wait for the end: it is parked while it goes on, or as the process ends. */
bool deferred_end(struct conn *c)
{
    const struct registrations *r = &c->registrations;

    if (c->x.kind != EXCHANGE_ADAPTED || c->reply.peeked_unread || c->reply.undiscarded || r->count > 1 ||
        !is_ours_alone(c))
        return false;
    if (r->count == 1 && !is_plain(r->set[0].events))
        return false;
    c->idle.parked_ms = self_now_ms();
    conn_set_state(c, CONN_ENDED_UNSWAPPED);
    remember(c);
    return true;
}

static uint64_t set_now(int epfd)
{
    return (uint64_t)(unsigned)epfd << 32 | (atomic_load_explicit(&registrations_numbers, memory_order_relaxed) + 1);
}

void deferred_is_set(int epfd)
{
    atomic_store_explicit(&our.good_set, set_now(epfd), memory_order_relaxed);
}

bool deferred_add(struct conn *c, int epfd, int fd, const struct epoll_event *event)
{
    const uint32_t writing = EPOLLOUT | EPOLLWRNORM;

    if (c->state != CONN_LEASED || c->registrations.count || !event || !(event->events & writing) ||
        event->events & ~(writing | EPOLLERR | EPOLLHUP) || !is_ours_alone(c) ||
        atomic_load_explicit(&our.good_set, memory_order_relaxed) != set_now(epfd))
        return false;
    conn_set_state(c, CONN_LEASED_UNREGISTERED);
    remember(c);
    return registrations_note(&c->registrations, epfd, EPOLL_CTL_ADD, fd, event->events, event->data.u64);
}

/* False: the client's number was closed where we did not see it, and leads to nothing or to another thing.  Nobody
 * can tell where our own copy is what somebody has closed. */
static bool is_under(struct conn *c)
{
    int saved = errno;

    errno = 0;
    if (!c->idle.cookie)
        c->idle.cookie = socket_cookie(c->fds.private_fd);
    bool same = !c->idle.cookie || socket_cookie(c->fds.numbers[0].fd) == c->idle.cookie || socket_cookie_unknown();
    errno = saved;
    return same;
}

void deferred_apply(struct conn *c)
{
    if (conn_is_deferred(c) && !is_under(c)) {
        conn_lose(c, c->fds.numbers[0].fd);
        return;
    }
    if (c->state == CONN_ENDED_UNSWAPPED)
        under_end(c, REASON_none);
    if (c->state != CONN_LEASED_UNREGISTERED)
        return;
    conn_deferred_over(c);
    c->registrations.set[0].out = true;
    registrations_restore(&c->registrations);
}

bool conn_make_ready(struct conn *c, enum need need)
{
    if (conn_is_ready(c, need))
        return c->fds.count;
    if (conn_is_new(c) && need == NEED_ALL)
        parking_touch(c);
    else if (conn_is_new(c))
        parking_make_ready(c);
    else
        deferred_apply(c);
    return c->fds.count;
}

struct conn *conn_enter(int fd, enum need need)
{
    return self_is_ours() ? conn_enter_ours(fd, need) : NULL;
}

/* One of the hints, locked, if it is still true. */
static struct conn *enter(unsigned i)
{
    int fd = our.hints[i];
    struct conn *c = conn_find(fd);

    if (!c || !conn_is_deferred(c) || !(c = conn_enter(fd, NEED_AS_IS)))
        return NULL;
    if (conn_is_deferred(c))
        return c;
    conn_leave(c);
    return NULL;
}

void deferred_apply_all(void)
{
    for (unsigned i = 0; i < atomic_load(&our.used); i++) {
        struct conn *c = enter(i);
        if (!c)
            continue;
        deferred_apply(c);
        conn_leave(c);
    }
    room();
}

bool deferred_apply_end(const struct endpoint *to)
{
    for (unsigned i = 0; deferred_any() && i < atomic_load(&our.used); i++) {
        struct conn *c = enter(i);
        bool found = c && c->state == CONN_ENDED_UNSWAPPED && endpoint_equal(&c->to, to);
        if (found)
            deferred_apply(c);
        if (c)
            conn_leave(c);
        if (found)
            return true;
    }
    return false;
}

static bool is_there(const struct epoll_event *events, int n, uint64_t data)
{
    for (int i = 0; i < n; i++)
        if (events[i].data.u64 == data)
            return true;
    return false;
}

/* What waits in another set, or may, is settled.  Returns whether c's end is to be told here. */
static bool concerns(struct conn *c, int epfd)
{
    const struct registration *r = &c->registrations.set[0];

    if (c->registrations.count == 0)
        return false; /* nobody waits for it */
    if (c->registrations.count == 1 && r->epfd == epfd && r->made == atomic_load(&registrations_numbers))
        return true;
    deferred_apply(c);
    return false;
}

static bool any_concerns(int epfd)
{
    bool any = false;

    for (unsigned i = 0; i < atomic_load(&our.used); i++) {
        struct conn *c = enter(i);
        if (!c)
            continue;
        any |= concerns(c, epfd);
        conn_leave(c);
    }
    return any;
}

/* No event twice: the kernel may have told one of the socket itself, whose server has closed it. */
int deferred_tell_epoll(int epfd, struct epoll_event *events, int ready, int most)
{
    for (unsigned i = 0; i < atomic_load(&our.used) && ready >= 0; i++) {
        struct conn *c = enter(i);
        if (!c)
            continue;
        const struct registration *r = &c->registrations.set[0];
        if (concerns(c, epfd)) {
            if (ready < most && !is_there(events, ready, r->data))
                events[ready++] = (struct epoll_event){ .events = shown(c, r->events), .data.u64 = r->data };
            else
                deferred_apply(c);
        }
        conn_leave(c);
    }
    return ready;
}

bool deferred_waited(int epfd, const struct epoll_event *events, int most)
{
    if (events && most > 0)
        return any_concerns(epfd);
    deferred_apply_all();
    return false;
}

/* What waits in a set, which may be polled, is settled.  Returns whether anything is owed still. */
static bool apply_registered(void)
{
    bool any = false;

    for (unsigned i = 0; i < atomic_load(&our.used); i++) {
        struct conn *c = enter(i);
        if (!c)
            continue;
        if (c->registrations.count)
            deferred_apply(c);
        any |= conn_is_deferred(c);
        conn_leave(c);
    }
    return any;
}

static bool has_ended(int fd)
{
    const struct conn *c = conn_find(fd);

    return c && c->state == CONN_ENDED_UNSWAPPED;
}

static short asked_of(const struct pollfd *fd)
{
    const struct conn *c = has_ended(fd->fd) ? conn_find(fd->fd) : NULL;

    return c ? (short)shown(c, (unsigned short)fd->events) : 0;
}

bool deferred_polled(const struct pollfd *fds, nfds_t n)
{
    bool any = false;

    if (!apply_registered() || !fds)
        return false;
    for (nfds_t i = 0; i < n && !any; i++)
        any = asked_of(&fds[i]);
    return any;
}

int deferred_tell_poll(struct pollfd *fds, nfds_t n, int ready)
{
    for (nfds_t i = 0; i < n && ready >= 0; i++) {
        short told = asked_of(&fds[i]);
        if (!told)
            continue;
        ready += fds[i].revents == 0;
        fds[i].revents |= told;
    }
    return ready;
}

int deferred_select(int n, const fd_set *in, fd_set *ready)
{
    int more = 0;

    for (unsigned i = 0; i < atomic_load(&our.used); i++) {
        int fd = our.hints[i];
        if (fd >= n || !has_ended(fd) || !FD_ISSET(fd, in) || FD_ISSET(fd, ready))
            continue;
        FD_SET(fd, ready);
        more++;
    }
    return more;
}

bool deferred_selected(int n, const fd_set *in)
{
    bool any = false;

    if (!apply_registered() || !in)
        return false;
    for (unsigned i = 0; i < atomic_load(&our.used) && !any; i++)
        any = our.hints[i] < n && has_ended(our.hints[i]) && FD_ISSET(our.hints[i], in);
    return any;
}
