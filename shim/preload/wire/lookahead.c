/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/lookahead.h"

#include "base/block.h"
#include "http/opening.h"
#include "preload/libc/real.h"
#include "preload/fds/socket.h"
#include "preload/wire/dialect.h"
#include "preload/wire/provisional.h"
#include "preload/wire/recv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

/* What a look at the queue has found. */
struct sight {
    ssize_t n;  /* bytes queued, as far as they were looked at; 0 at the end of file; or -1 */
    size_t out; /* how many of them would be the client's */
    bool ends;  /* they complete or break the response */
    bool sure;  /* they answer the request: no receive would ask again */
};

/* Do these first bytes of a response end all doubt whose answer they are? */
static bool is_sure(const struct conn *c, const char *bytes, size_t len)
{
    unsigned status;

    return !(provisional_in_doubt(c) || dialect_waits(c)) ||
           (!c->reply.first && opening_read(bytes, len, c->x.request.head_method, &status) == OPENING_ANSWER);
}

/* What queued bytes would become: a copy of the exchange follows them. */
static struct sight look(struct conn *c, int fd)
{
    struct sight sight = { .n = -1 };
    struct exchange ahead = c->x;
    size_t raw = c->reply.held == HELD_RAW ? hold_len(&c->reply.bytes) : 0;
    char *scratch = block_get(INCOMING_ROOM, NULL);

    if (!scratch)
        return sight;
    if (raw)
        memcpy(scratch, c->reply.bytes.data, raw);
    sight.n = real.recv(fd, scratch + raw, EXCHANGE_HEAD_MAX - raw, MSG_PEEK | MSG_DONTWAIT);
    if (sight.n < 0 && socket_is_end(-errno)) /* the kernel tells it once */
        c->reply.kernel_error = errno;
    size_t tail = c->reply.tail != TAIL_NONE && sight.n > 0;
    if (sight.n > 0) {
        size_t len = raw + (size_t)sight.n - tail;
        sight.sure = is_sure(c, scratch + tail, len);
        struct exchange_reply reply = exchange_server(&ahead, scratch + tail, len);
        sight.out = tail + reply.out;
        sight.ends = reply.flow == EXCHANGE_END || reply.flow == EXCHANGE_BROKEN;
    }
    block_put(scratch, INCOMING_ROOM);
    return sight;
}

/* Never less than a receive would give: an edge-triggered client (nginx) counts down from this.  Nor 0 of half a head, or
 * of the framing between chunks: "readable, and nothing to read" means the end. */
static size_t foreseen(struct conn *c, int fd, size_t queued)
{
    struct sight sight = look(c, fd);
    size_t all = sight.n > 0 && (size_t)sight.n < queued ? sight.out + queued - (size_t)sight.n : sight.out;

    return all || sight.ends ? all : 1;
}

static bool is_at_end(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };

    return real.poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* A client that was told of input, and then that there is none, takes that for the end.  It is the end
 * only if the request cannot be sent again. */
static bool replayed_at_end(struct conn *c, int fd)
{
    return c->reused && is_at_end(fd) && incoming_replay(c) == 0;
}

/* Half a head that a wait has taken out of the kernel: if no more comes, it is given as it is. */
static bool is_given_at_end(const struct conn *c, int fd, int queued)
{
    return c->reply.held == HELD_RAW && !queued && hold_len(&c->reply.bytes) && !conn_has_ended(c) && is_at_end(fd);
}

ssize_t lookahead_available(struct conn *c, int fd)
{
    int queued = 0;

    if (!conn_has_ended(c) && real.ioctl(fd, FIONREAD, &queued) != 0)
        return -errno;
    if (!conn_has_ended(c) && !queued && replayed_at_end(c, fd))
        return 1;
    bool as_it_is = !exchange_in_head(&c->x) && !exchange_cut_short(&c->x);
    if (conn_is_exchange(c) && queued && !as_it_is)
        queued = (int)foreseen(c, fd, (size_t)queued);
    bool held = c->reply.held == HELD_FOR_CLIENT || (conn_is_observed(c) && c->reply.held == HELD_RAW);
    held |= is_given_at_end(c, fd, queued);
    return (held ? (ssize_t)hold_len(&c->reply.bytes) : 0) + queued;
}

/* How much to look at for `len` bytes: of what passes as it is, no more; chunks have framing in between, and a head is
 * read as a whole.  All that there is would be followed anew for every small peek. */
static size_t enough(const struct conn *c, size_t len)
{
    enum { MOST = EXCHANGE_HEAD_MAX }; /* what a head grows by has room */
    size_t room = exchange_in_head(&c->x) ? MOST : exchange_cut_short(&c->x) ? 2 * len + 4096 : len;

    return len < MOST && room < MOST ? room : MOST;
}

ssize_t lookahead_peek(struct conn *c, struct incoming *call, char *buf, size_t len)
{
    char *scratch = block_get(INCOMING_ROOM, NULL);
    struct exchange ahead = c->x;
    size_t tail = c->reply.tail != TAIL_NONE, out = 0;
    bool alone = c->reply.tail == TAIL_END;

    if (!scratch)
        return -ENOMEM;
    ssize_t n = incoming_receive(c, call, scratch, alone ? 1 : enough(c, len), true);
    if (n > 0) {
        struct exchange_reply reply = { .out = 0 };
        if ((size_t)n > tail)
            reply = exchange_server(&ahead, scratch + tail, (size_t)n - tail);
        out = tail + reply.out < len ? tail + reply.out : len;
        if (out) {
            memcpy(buf, scratch, out);
            conn_saw(c, SEEN_PEEKS);
        }
        /* Nothing but framing, or what breaks it: it has to go, or there would be no end of peeking. */
        if (!out) {
            c->reply.peeked_unread = (size_t)n;
            incoming_follow(c, exchange_server(&c->x, scratch, (size_t)n));
        }
    }
    block_put(scratch, INCOMING_ROOM);
    if (n <= 0)
        return incoming_at_end(c, n);
    return out ? (ssize_t)out : conn_is_exchange(c) ? -ESTALE : 0;
}

/* Could what comes next be framing alone?  Not where another thread or process receives, or where the client is told of an end
 * or of an error. */
static bool may_be_framing(const struct conn *c)
{
    const struct conn_reply *r = &c->reply;
    bool shows = r->tail != TAIL_NONE || r->error || r->broken || r->kernel_error || incoming_for_client(c);

    return conn_is_exchange(c) && !c->nonblocking && !shows && (exchange_in_head(&c->x) || exchange_cut_short(&c->x)) &&
           !c->copied && c->fds.count && !c->use.inside && !c->use.reader && !c->use.reconnecting && !r->undiscarded &&
           !r->peeked_unread && !c->after.read_shut;
}

bool lookahead_takes_all(struct conn *c)
{
    struct incoming call = { .fd = -1, .peek = true };
    enum conn_seen seen = c->reply.seen;
    int saved = errno;
    char byte;

    if (!may_be_framing(c))
        return false;
    call.fd = c->fds.numbers[0].fd;
    struct sight sight = look(c, call.fd);
    ssize_t n = sight.n <= 0 || (sight.sure && (sight.out || sight.ends)) ? 0 : recv_step(c, &call, &byte, 1, 0);
    if (c->reply.seen == SEEN_PEEKS)
        c->reply.seen = seen; /* the client has seen nothing of it */
    if (n < 0 && n != -ESTALE && n != -EAGAIN)
        c->reply.error = (int)-n;
    errno = saved;
    return n == -ESTALE || n == -EAGAIN;
}

void lookahead_take_framing(struct conn *c, struct incoming *call)
{
    enum conn_seen seen = c->reply.seen;
    ssize_t n = -ESTALE;
    char byte;

    call->wait = false;
    call->peek = true;
    while (n == -ESTALE && conn_is_exchange(c) && !c->reply.tail && !exchange_in_head(&c->x) &&
           exchange_body_left(&c->x) == UINT64_MAX)
        n = lookahead_peek(c, call, &byte, 1);
    c->reply.seen = seen; /* the client has seen nothing of it */
    if (n < 0 && socket_is_end(n))
        c->reply.error = (int)-n; /* the kernel says it once only */
}
