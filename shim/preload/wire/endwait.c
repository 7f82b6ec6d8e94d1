#define _GNU_SOURCE
#include "preload/wire/endwait.h"

#include "base/block.h"
#include "preload/conn/conn.h"
#include "preload/self/self.h"
#include "preload/wire/incoming.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

atomic_bool endwait_registered;

static bool waits(uint32_t events)
{
    return events & POLLRDHUP && !(events & (POLLIN | POLLRDNORM));
}

/* An answer that goes on or may be waited for by another thread is left alone. */
static bool may_take(const struct conn *c)
{
    return c->state == CONN_EXCHANGE && c->x.kind == EXCHANGE_ADAPTED && c->fds.count && !c->copied &&
           !c->use.inside && !c->use.reader && c->reply.tail == TAIL_NONE && !c->reply.error && !c->reply.broken && !c->reply.peeked_unread && !c->reply.undiscarded &&
           exchange_request_done(&c->x);
}

/* Does all of an answer behind which the connection can be kept lie in the kernel, and is it short enough? */
static bool is_whole(struct conn *c, char *scratch)
{
    size_t raw = c->reply.held == HELD_RAW ? hold_len(&c->reply.bytes) : 0;
    struct exchange ahead = c->x;
    int queued = 0;

    if (real.ioctl(c->fds.numbers[0].fd, FIONREAD, &queued) != 0 || queued <= 0 ||
        raw + incoming_edited(c) + (size_t)queued > EXCHANGE_HEAD_MAX)
        return false;
    if (raw)
        memcpy(scratch, c->reply.bytes.data + c->reply.bytes.start, raw);
    ssize_t n = real.recv(c->fds.numbers[0].fd, scratch + raw, EXCHANGE_HEAD_MAX - raw, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 && exchange_server(&ahead, scratch, raw + (size_t)n).flow == EXCHANGE_END &&
           exchange_verdict(&ahead) == REASON_none;
}

static void take(struct conn *c)
{
    struct incoming call = { .fd = c->fds.numbers[0].fd };
    struct hold all = { 0 };

    if (!hold_reserve(&all, INCOMING_ROOM))
        return;
    if (is_whole(c, all.data))
        while (conn_is_exchange(c) && c->fds.count) {
            ssize_t n = incoming_step(c, &call, all.data + all.end, INCOMING_ROOM - all.end, 0);
            if (n <= 0 && n != -ESTALE)
                break;
            all.end += n > 0 ? (size_t)n : 0;
        }
    if (hold_len(&all) == 0) {
        hold_clear(&all);
        return;
    }
    hold_clear(&c->reply.bytes);
    c->reply.bytes = all;
    c->reply.held = HELD_EDITED;
}

/* Is there still something to be waited for? */
static bool look(int fd)
{
    int saved = errno;
    struct conn *c = conn_find(fd) ? conn_enter(fd, NEED_AS_IS) : NULL;

    if (!c)
        return false;
    if (may_take(c))
        take(c);
    /* Another thread may be about to ask for the answer. */
    bool still = conn_is_exchange(c) || (!self_alone() && (c->state == CONN_FRESH || conn_is_leased(c)));
    conn_leave(c);
    errno = saved;
    return still;
}

bool endwait_poll(struct pollfd *fds, nfds_t n)
{
    bool any = false;

    for (nfds_t i = 0; i < n; i++)
        if (waits((unsigned short)fds[i].events) && conn_find(fds[i].fd))
            any |= look(fds[i].fd);
    return any;
}

static __thread struct { int epfd; bool any; } looking;

/* Without its lock: what is read here only says which number to look at. */
static void consider(struct conn *c)
{
    for (int i = 0; i < c->registrations.count && i < REGISTRATIONS_MAX && conn_is_exchange(c); i++)
        if (c->registrations.set[i].epfd == looking.epfd && waits(c->registrations.set[i].events))
            looking.any |= look(c->fds.numbers[0].fd);
}

bool endwait_look(int epfd)
{
    looking.epfd = epfd;
    looking.any = false;
    conn_each(consider);
    return looking.any;
}
