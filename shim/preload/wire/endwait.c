/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/endwait.h"

#include "base/block.h"
#include "preload/conn/conn.h"
#include "preload/self/self.h"
#include "preload/conn/deferred.h"
#include "preload/wire/recv.h"
#include "preload/wire/provisional.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

_Atomic uint8_t endwait_sets;

static bool asks_bytes(uint32_t events)
{
    return events & (POLLIN | POLLRDNORM);
}

static bool wants_end(const struct conn *c, uint32_t events)
{
    return events & POLLRDHUP || c->after.write_shut;
}

/* An answer that goes on or may be waited for by another thread is left alone. */
static bool may_look(const struct conn *c)
{
    return conn_is_exchange(c) && c->x.kind == EXCHANGE_ADAPTED && c->fds.count &&
           !c->use.inside && !c->use.reader && !c->reply.error && !c->reply.broken && !c->reply.peeked_unread && !c->reply.undiscarded &&
           exchange_request_done(&c->x);
}

/* PERHAPS: the server's own end would tell. */
enum whole { WHOLE_NO, WHOLE_PERHAPS, WHOLE_YES };

/* Does all of an answer behind which the connection can be kept lie in the kernel, and is it short enough? */
static enum whole is_whole(struct conn *c, char *scratch)
{
    size_t raw = c->reply.held == HELD_RAW ? hold_len(&c->reply.bytes) : 0;
    size_t tail = c->reply.tail != TAIL_NONE; /* was followed, and lies in the kernel */
    struct exchange ahead = c->x;
    int queued = 0;

    if (real.ioctl(c->fds.numbers[0].fd, FIONREAD, &queued) != 0 || queued <= 0 ||
        raw + incoming_for_client(c) + (size_t)queued > EXCHANGE_HEAD_MAX)
        return WHOLE_NO;
    if (raw)
        memcpy(scratch, c->reply.bytes.data + c->reply.bytes.start, raw);
    ssize_t n = real.recv(c->fds.numbers[0].fd, scratch + raw, EXCHANGE_HEAD_MAX - raw, MSG_PEEK | MSG_DONTWAIT);
    if (c->reply.tail == TAIL_END)
        return n == 1 && exchange_verdict(&ahead) == REASON_none ? WHOLE_YES : WHOLE_NO;
    if (n <= (ssize_t)tail)
        return WHOLE_NO;
    bool end = exchange_server(&ahead, scratch + tail, raw + (size_t)n - tail).flow == EXCHANGE_END;
    if (exchange_over_perhaps(&ahead))
        return WHOLE_PERHAPS;
    return end && exchange_verdict(&ahead) == REASON_none ? WHOLE_YES : WHOLE_NO;
}

/* The server's own end, which tells.  Is it there now? */
static bool ask_end(struct conn *c)
{
    struct pollfd p = { .fd = c->fds.numbers[0].fd, .events = POLLRDHUP };

    if (!c->after.end_asked)
        conn_ask_end(c, true);
    return real.poll(&p, 1, 0) > 0;
}

/* Takes it all, so that another socket can show the end.  True: the one that is there does. */
static bool take(struct conn *c)
{
    struct incoming call = { .fd = c->fds.numbers[0].fd };
    struct hold all = { 0 };
    enum whole whole = hold_reserve(&all, INCOMING_ROOM) ? is_whole(c, all.data) : WHOLE_NO;

    if (whole == WHOLE_YES)
        while (conn_is_exchange(c) && c->fds.count) {
            ssize_t n = recv_step(c, &call, all.data + all.end, INCOMING_ROOM - all.end, 0);
            if (n <= 0 && n != -ESTALE)
                break;
            all.end += n > 0 ? (size_t)n : 0;
        }
    if (hold_len(&all) == 0) {
        hold_clear(&all);
        return whole == WHOLE_PERHAPS && ask_end(c);
    }
    hold_clear(&c->reply.bytes);
    c->reply.bytes = all;
    c->reply.held = HELD_FOR_CLIENT;
    return false;
}

/* Another process may read the answer, and is to find the end behind it, too: so it stays in the kernel. */
static bool end_shared(struct conn *c)
{
    struct hold scratch = { 0 };
    enum whole whole = hold_reserve(&scratch, INCOMING_ROOM) ? is_whole(c, scratch.data) : WHOLE_NO;

    hold_clear(&scratch);
    if (whole == WHOLE_YES)
        return real.shutdown(c->fds.numbers[0].fd, SHUT_RD) == 0;
    return whole == WHOLE_PERHAPS && ask_end(c);
}

/* The server has ended its side by itself, and the client its own: now the server may be told, too. */
static bool hangs_up(struct conn *c)
{
    struct pollfd p = { .fd = c->fds.count ? c->fds.numbers[0].fd : -1, .events = POLLRDHUP };

    if (!conn_is_exchange(c) || !c->after.write_shut || !exchange_request_done(&c->x) ||
        real.poll(&p, 1, 0) <= 0 || !(p.revents & POLLRDHUP) || provisional_is_dead(c))
        return false;
    conn_forbid_parking(c, REASON_half_closed);
    real.shutdown(p.fd, SHUT_WR);
    return true;
}

bool endwait_settle(struct conn *c)
{
    bool shown = false;

    if (may_look(c) && c->copied)
        shown = end_shared(c);
    else if (may_look(c))
        shown = take(c);
    return conn_has_ended(c) || hangs_up(c) || (shown && !c->after.write_shut);
}

enum sight { NOTHING, STILL, SHOWN };

/* Of one who is told of the end and waits for these events.  `now`: the kernel is to show it at once. */
static enum sight look(struct conn *c, uint32_t events, bool now)
{
    if (!wants_end(c, events))
        return NOTHING;
    if (!conn_is_exchange(c)) /* another thread may be about to ask for the answer */
        return !self_alone() && (c->state == CONN_FRESH || conn_is_leased(c)) ? STILL : NOTHING;
    if (!endwait_settle(c))
        return STILL;
    if (c->state == CONN_ENDED_UNSWAPPED && now)
        deferred_apply(c);
    return SHOWN;
}

static enum sight look_at(int fd, short events, bool now)
{
    int saved = errno;
    const struct conn *found = conn_find(fd);
    bool asked = found && (events & POLLRDHUP || atomic_load_explicit(&found->after.write_shut, memory_order_relaxed));
    struct conn *c = asked ? conn_enter(fd, NEED_AS_IS) : NULL;

    if (!c)
        return NOTHING;
    enum sight sight = look(c, (unsigned short)events, now);
    conn_leave(c);
    errno = saved;
    return sight;
}

bool endwait_poll(struct pollfd *fds, nfds_t n)
{
    bool any = false;

    for (nfds_t i = 0; i < n; i++)
        if (!asks_bytes((unsigned short)fds[i].events))
            any |= look_at(fds[i].fd, fds[i].events, false) == STILL;
    return any;
}

bool endwait_ended(const struct pollfd *fds, const struct pollfd *told, nfds_t n)
{
    bool any = false;

    for (nfds_t i = 0; i < n; i++)
        if (asks_bytes((unsigned short)told[i].revents))
            any |= look_at(fds[i].fd, fds[i].events, true) == SHOWN;
    return any;
}

struct looking {
    int epfd;
    bool still;
};

/* Of a locked conn. */
static bool consider(struct conn *c, void *arg)
{
    struct looking *looking = arg;

    for (int i = 0; i < c->registrations.count; i++) {
        const struct registration *r = &c->registrations.set[i];
        if (r->epfd == looking->epfd && !asks_bytes(r->events))
            looking->still |= look(c, r->events, false) == STILL;
    }
    return false;
}

bool endwait_look(int epfd)
{
    struct looking looking = { .epfd = epfd };
    int saved = errno;

    conn_each_entered(true, consider, &looking);
    errno = saved;
    return looking.still;
}

void endwait_note(struct conn *c, uint32_t events)
{
    bool alone = events && !asks_bytes(events);

    for (int i = 0; i < c->registrations.count && c->after.write_shut; i++)
        alone |= !asks_bytes(c->registrations.set[i].events);
    if (!wants_end(c, events))
        return;
    conn_recount(c);
    enum endwait_sets least = alone ? ENDWAIT_ALONE : ENDWAIT_WITH_BYTES;
    if (atomic_load_explicit(&endwait_sets, memory_order_relaxed) < least)
        atomic_store_explicit(&endwait_sets, least, memory_order_relaxed);
}

struct telling {
    int epfd;
    struct epoll_event *event;
};

/* Of a locked conn. */
static bool tell(struct conn *c, void *arg)
{
    struct telling *t = arg;
    struct registration *r = registrations_find(&c->registrations, t->epfd, t->event->data.u64);
    uint32_t asked = r ? r->events : 0;

    if (!r)
        return false;
    if (look(c, asked, true) != SHOWN)
        return true;
    t->event->events |= (asked & EPOLLRDHUP) | (c->after.write_shut ? EPOLLHUP : 0);
    r = registrations_find(&c->registrations, t->epfd, t->event->data.u64); /* another socket is registered by now */
    if (r && r->events & EPOLLET)
        registrations_silence(r);
    return true;
}

void endwait_tell(int epfd, struct epoll_event *event)
{
    struct telling t = { epfd, event };
    int saved = errno;

    conn_each_entered(false, tell, &t);
    errno = saved;
}
