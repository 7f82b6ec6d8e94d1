/* The kernel must go on telling the truth about readiness, so the shim holds bytes only where more is
 * certain to come: an incomplete head is taken whole; of a complete one that does not fit the client's
 * buffer, the last byte (`tail`) stays in the kernel until the client has got the rest.
 *
 * One thread at a time is inside a real receive call whose bytes will be followed; a second one waits
 * by peeking. */
#define _GNU_SOURCE
#include "preload/recv.h"

#include "base/block.h"
#include "preload/real.h"
#include "preload/send.h"
#include "preload/swap.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    ROOMY = 1024,        /* a client's buffer that most heads fit */
    DRAIN_MAX = 65536,
    TURNS_MAX = 100000,
    HEAD_ROOM = EXCHANGE_HEAD_MAX + EXCHANGE_RESPONSE_GROWTH + 1,
};

static __thread char self; /* its address names this thread */

struct call {
    int fd;
    int flags;  /* for real calls: PEEK, WAITALL and DONTWAIT taken out */
    bool peek;
    bool wait;  /* may block now */
    unsigned turns; /* for which another thread was seen reading */
    bool full;  /* the last real receive filled its buffer: the kernel may have more */
};

/* Edited bytes that are the client's. */
static size_t edited(const struct conn *c)
{
    return c->response_raw ? 0 : hold_len(&c->response);
}

/* What queued bytes would become, by looking ahead. */
static size_t foreseen(const struct conn *c, int fd)
{
    struct exchange ahead = c->x;
    size_t raw = c->response_raw ? hold_len(&c->response) : 0, out = 0;
    char *scratch = block_get(HEAD_ROOM, NULL);

    if (!scratch)
        return 0;
    if (raw)
        memcpy(scratch, c->response.data, raw);
    ssize_t n = real.recv(fd, scratch + raw, EXCHANGE_HEAD_MAX - raw, MSG_PEEK | MSG_DONTWAIT);
    size_t tail = c->tail && n > 0 ? 1 : 0;
    if (n > 0)
        out = tail + exchange_server(&ahead, scratch + tail, raw + (size_t)n - tail).out;
    block_put(scratch, HEAD_ROOM);
    return out;
}

ssize_t recv_available(struct conn *c, int fd)
{
    int queued = 0;

    if (c->state != CONN_ENDED && real.ioctl(fd, FIONREAD, &queued) != 0)
        return -errno;
    bool as_it_is = !exchange_in_head(&c->x) && exchange_body_left(&c->x) != UINT64_MAX;
    if (c->state == CONN_EXCHANGE && queued && !as_it_is) {
        queued = (int)foreseen(c, fd);
        if (queued == 0) /* half a head: "readable, and nothing to read" would mean the end */
            queued = 1;
    }
    return (ssize_t)edited(c) + queued;
}

static ssize_t read_alone(struct conn *c, int fd, char *buf, size_t len, int flags)
{
    c->reader = &self;
    conn_outside_begin(c);
    ssize_t n = real.recv(fd, buf, len, flags);
    conn_outside_end(c);
    c->reader = NULL;
    return n;
}

/* Another thread is about to take what arrives: this one only waits for it. */
static ssize_t wait_beside(struct conn *c, int fd, int flags)
{
    char byte;

    conn_outside_begin(c);
    ssize_t n = real.recv(fd, &byte, 1, flags | MSG_PEEK);
    conn_outside_end(c);
    return n;
}

/* A real receive, without the lock.  -errno; -ESTALE: the world changed meanwhile, look again. */
static ssize_t receive(struct conn *c, struct call *call, char *buf, size_t len, bool peek)
{
    unsigned generation = c->generation;
    int flags = call->flags | (call->wait ? 0 : MSG_DONTWAIT) | (peek ? MSG_PEEK : 0);
    bool alone = !c->reader || c->reader == &self;

    if (!call->wait && alone) {
        ssize_t n = real.recv(call->fd, buf, len, flags);
        call->full = n == (ssize_t)len;
        return n < 0 ? -errno : n;
    }
    if (!alone && ++call->turns > TURNS_MAX)
        c->reader = NULL; /* it does not come back: its thread was cancelled inside the call */
    ssize_t n = alone ? read_alone(c, call->fd, buf, len, flags) : wait_beside(c, call->fd, flags);
    int error = errno;
    if (c->generation != generation || c->state != CONN_EXCHANGE || (!alone && n >= 0))
        return -ESTALE;
    call->full = n == (ssize_t)len;
    return n < 0 ? -error : n;
}

/* The server has ended or broken the connection.  Returns 0, -errno, or -EAGAIN to look again. */
static ssize_t at_end(struct conn *c, int error)
{
    if (!exchange_answered(&c->x) && !c->response.data && send_replay(c) == 0)
        return -ESTALE;
    if (c->response_raw && hold_len(&c->response)) {
        /* Half a head, and no more will come: the client gets it as it is, then the end. */
        c->response_raw = false;
        c->pending_error = error;
        exchange_release(&c->x, REASON_closed_by_server);
        conn_note(c, REASON_closed_by_server);
        return -ESTALE;
    }
    if (c->unparkable == REASON_none) {
        enum reason why = exchange_verdict(&c->x);
        conn_note(c, why != REASON_none ? why : REASON_closed_by_server);
        conn_spoil(c, REASON_closed_by_server);
    }
    if (exchange_cut_short(&c->x)) {
        exchange_release(&c->x, REASON_closed_by_server); /* reported once, as the kernel does */
        return -ECONNRESET;
    }
    return -error;
}

/* What exchange_server has said about bytes at `buf`. */
static ssize_t follow(struct conn *c, struct exchange_reply reply)
{
    if (exchange_request_done(&c->x) && exchange_asks_close(&c->x) && !c->shared)
        real.shutdown(c->fds[0].fd, SHUT_WR);
    if (reply.flow == EXCHANGE_BROKEN)
        c->pending_error = ECONNRESET;
    if (reply.flow == EXCHANGE_END)
        swap_end(c);
    return (ssize_t)reply.out;
}

/* Head, and the client's buffer has room for it: read there and edit there. */
static ssize_t recv_head_in_place(struct conn *c, struct call *call, char *buf, size_t len)
{
    size_t raw = hold_len(&c->response);
    ssize_t n = receive(c, call, buf + raw, len - raw - EXCHANGE_RESPONSE_GROWTH, false);

    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR && n != -ESTALE))
        return at_end(c, (int)-n);
    if (n < 0)
        return n;
    if (raw)
        memcpy(buf, c->response.data, raw);
    struct exchange_reply reply = exchange_server(&c->x, buf, raw + (size_t)n);
    c->response.start = c->response.end = 0;
    if (reply.flow != EXCHANGE_MORE) {
        hold_clear(&c->response);
        c->response_raw = false;
    } else if (hold_append(&c->response, buf + reply.used, raw + (size_t)n - reply.used)) {
        c->response_raw = true;
    } else {
        exchange_release(&c->x, REASON_no_memory);
        reply.out = raw + (size_t)n;
    }
    ssize_t out = follow(c, reply);
    return out ? out : c->state == CONN_EXCHANGE ? -ESTALE : 0;
}

/* Peeks at what has arrived behind the raw bytes that are held already. */
static ssize_t peek_head(struct conn *c, struct call *call)
{
    struct hold *h = &c->response;

    if (!hold_reserve(h, HEAD_ROOM - h->end))
        return -ENOMEM;
    c->response_raw = true;
    return receive(c, call, h->data + h->end, HEAD_ROOM - EXCHANGE_RESPONSE_GROWTH - h->end, true);
}

/* Head, and the client peeks or has little room.  Makes response.data ready; -ESTALE: look again. */
static ssize_t recv_head_aside(struct conn *c, struct call *call)
{
    struct hold *h = &c->response;
    ssize_t n = peek_head(c, call);

    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR && n != -ESTALE)) {
        if (hold_len(h) == 0)
            hold_clear(h);
        return at_end(c, (int)-n);
    }
    if (n < 0)
        return n;
    size_t whole = exchange_head_end(&c->x, h->data, h->end + (size_t)n);
    bool tail = whole > h->end;
    size_t take = tail ? whole - 1 - h->end : whole ? 0 : (size_t)n;
    if (take && real.recv(call->fd, h->data + h->end, take, MSG_DONTWAIT) != (ssize_t)take)
        return -EAGAIN;
    h->end += take;
    if (!whole)
        return -ESTALE;
    struct exchange_reply reply = exchange_server(&c->x, h->data, whole);
    h->end = reply.out - (tail && reply.out);
    c->response_raw = false;
    c->tail = tail && reply.out;
    c->tail_ends = reply.flow == EXCHANGE_END;
    if (c->tail_ends && c->tail)
        reply.flow = EXCHANGE_DATA; /* it ends with the byte that is left */
    follow(c, reply);
    return -ESTALE;
}

/* A peek behind the head, decoded with a copy of the exchange: of more than the client has room for,
 * since framing falls out. */
static ssize_t peek_body(struct conn *c, struct call *call, char *buf, size_t len)
{
    char *scratch = block_get(HEAD_ROOM, NULL);
    struct exchange ahead = c->x;
    size_t tail = c->tail, out = 0;

    if (!scratch)
        return -ENOMEM;
    c->peeked = true;
    ssize_t n = receive(c, call, scratch, c->tail && c->tail_ends ? 1 : HEAD_ROOM, true);
    if (n > 0) {
        struct exchange_reply reply = { .out = 0 };
        if ((size_t)n > tail)
            reply = exchange_server(&ahead, scratch + tail, (size_t)n - tail);
        out = tail + reply.out < len ? tail + reply.out : len;
        if (out)
            memcpy(buf, scratch, out);
        /* Nothing but framing: it has to go, or the peek would give 0. */
        if (!out && reply.flow != EXCHANGE_BROKEN &&
            real.recv(call->fd, scratch, (size_t)n, MSG_DONTWAIT) == n)
            follow(c, exchange_server(&c->x, scratch, (size_t)n));
    }
    block_put(scratch, HEAD_ROOM);
    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR && n != -ESTALE))
        return at_end(c, (int)-n);
    return n < 0 ? n : out ? (ssize_t)out : c->state == CONN_EXCHANGE ? -ESTALE : 0;
}

/* The byte that was left in the kernel, and what follows it. */
static ssize_t recv_tail(struct conn *c, struct call *call, char *buf, size_t len)
{
    ssize_t n = receive(c, call, buf, c->tail_ends ? 1 : len, false);

    if (n == 0)
        return at_end(c, 0);
    if (n < 0)
        return n;
    c->tail = false;
    if (c->tail_ends) {
        swap_end(c);
        return 1;
    }
    if (n == 1)
        return 1;
    return 1 + follow(c, exchange_server(&c->x, buf + 1, (size_t)n - 1));
}

static ssize_t recv_body(struct conn *c, struct call *call, char *buf, size_t len)
{
    ssize_t n = receive(c, call, buf, len, false);

    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR && n != -ESTALE))
        return at_end(c, (int)-n);
    if (n < 0)
        return n;
    ssize_t out = follow(c, exchange_server(&c->x, buf, (size_t)n));
    return out ? out : c->state == CONN_EXCHANGE ? -ESTALE : 0;
}

static size_t serve_held(struct conn *c, char *buf, size_t len, size_t offset, bool peek)
{
    struct hold *h = &c->response;
    size_t n = hold_len(h) - offset;

    if (n > len)
        n = len;
    memcpy(buf, h->data + h->start + offset, n);
    if (!peek) {
        h->start += n;
        if (h->start == h->end)
            hold_clear(h);
    }
    return n;
}

/* The next bytes for the client: > 0; 0 at the end; -ESTALE: nothing yet, call again; -errno. */
static ssize_t step(struct conn *c, struct call *call, char *buf, size_t len, size_t peeked)
{
    if (!c->response_raw && hold_len(&c->response) > peeked) {
        call->full = true; /* the kernel may have more behind what was held */
        return (ssize_t)serve_held(c, buf, len, peeked, call->peek);
    }
    if (c->state != CONN_EXCHANGE || c->pending_error) {
        int error = c->pending_error;
        if (!call->peek)
            c->pending_error = 0;
        return -error;
    }
    if (call->peek && (c->tail || !exchange_in_head(&c->x)))
        return peek_body(c, call, buf, len);
    if (c->tail)
        return recv_tail(c, call, buf, len);
    if (!exchange_in_head(&c->x))
        return recv_body(c, call, buf, len);
    size_t raw = hold_len(&c->response);
    if (call->peek || len < ROOMY || len < raw + EXCHANGE_RESPONSE_GROWTH + ROOMY / 2)
        return recv_head_aside(c, call);
    return recv_head_in_place(c, call, buf, len);
}

/* A client that was told by a short peek how much there is takes just that, and waits for an edge: the
 * framing behind it, which has arrived already, would never give one. */
static void take_framing(struct conn *c, struct call *call)
{
    char byte;

    call->wait = false;
    call->peek = true;
    while (c->state == CONN_EXCHANGE && !c->tail && !exchange_in_head(&c->x) &&
           exchange_body_left(&c->x) == UINT64_MAX && peek_body(c, call, &byte, 1) == -ESTALE)
        ;
}

/* Never shorter than the kernel would have been: goes on, without waiting, until the buffer is full,
 * the kernel has no more, or the message ends. */
static ssize_t recv_exchange(struct conn *c, struct call *call, char *buf, size_t len, bool waitall)
{
    bool may_wait = call->wait;
    size_t got = 0;

    while (got < len) {
        call->wait = may_wait && (got == 0 || waitall);
        call->full = false;
        size_t held = edited(c);
        ssize_t n = step(c, call, buf + got, len - got, call->peek ? got : 0);
        if (n == -ESTALE && c->nfds)
            continue;
        if (n == -ESTALE)
            return got ? (ssize_t)got : CONN_PLAIN; /* closed, or left to libc, by another thread */
        if (n == 0 || (n < 0 && got && (n == -EAGAIN || n == -EINTR)))
            break;
        if (n < 0 && got) {
            c->pending_error = (int)-n;
            break;
        }
        if (n < 0)
            return n;
        got += (size_t)n;
        if (call->peek && held <= got - (size_t)n)
            break; /* what the kernel had was seen */
        if (!waitall && !call->full)
            break;
    }
    if (c->peeked && !call->peek && got == len)
        take_framing(c, call);
    return (ssize_t)got;
}

/* A client that receives before it has sent: libc's answer.  But an idle connection that died under it
 * must not show; and who waits here while another thread sends the request must not take the
 * response away: he waits without taking. */
static ssize_t recv_before_request(struct conn *c, int fd, int flags)
{
    bool wait = !c->nonblocking && !(flags & MSG_DONTWAIT);
    unsigned generation = c->generation;

    if (c->state != CONN_LEASED && c->state != CONN_FRESH)
        return CONN_PLAIN;
    if (c->state == CONN_FRESH && !wait)
        return CONN_PLAIN;
    ssize_t n = wait_beside(c, fd, wait ? 0 : MSG_DONTWAIT);
    int error = n < 0 ? errno : 0;
    if (c->generation != generation || c->state == CONN_EXCHANGE)
        return c->nfds ? -ESTALE : CONN_PLAIN;
    if (c->state != CONN_LEASED || c->shared)
        return error ? -error : CONN_PLAIN;
    if (error == EAGAIN || error == EINTR)
        return -error;
    conn_note(c, n > 0 ? REASON_poisoned : REASON_stale);
    int result = swap_rehome(c, false);
    if (result == 0)
        result = send_held(c, fd);
    return result < 0 ? result : -ESTALE;
}

static ssize_t recv_piece(struct conn *c, int fd, struct iovec piece, int flags)
{
    struct call call = {
        .fd = fd,
        .flags = flags & ~(MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT | MSG_TRUNC),
        .peek = flags & MSG_PEEK,
        .wait = !c->nonblocking && !(flags & MSG_DONTWAIT),
    };
    char bounce[4096];
    bool waitall = flags & MSG_WAITALL && call.wait && !call.peek;

    if (!(flags & MSG_TRUNC) && piece.iov_base)
        return recv_exchange(c, &call, piece.iov_base, piece.iov_len, waitall);
    /* tcp(7): MSG_TRUNC discards instead of copying, and the pointer may be anything. */
    size_t got = 0;
    while (got < piece.iov_len) {
        size_t len = piece.iov_len - got < sizeof bounce ? piece.iov_len - got : sizeof bounce;
        ssize_t n = recv_exchange(c, &call, bounce, len, waitall);
        if (n <= 0)
            return got ? (ssize_t)got : n;
        got += (size_t)n;
        call.wait = call.wait && waitall;
        if (call.peek || (size_t)n < len)
            break;
    }
    return (ssize_t)got;
}

ssize_t recv_pieces(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    ssize_t got = 0;

    while (n && iov->iov_len == 0)
        iov++, n--;
    while (n && c->state != CONN_EXCHANGE && c->state != CONN_ENDED) {
        got = recv_before_request(c, fd, flags);
        if (got != -ESTALE)
            return got;
    }
    got = 0;
    if (flags & (MSG_OOB | MSG_ERRQUEUE)) {
        conn_spoil(c, REASON_odd_descriptor);
        return CONN_PLAIN;
    }
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len == 0)
            continue;
        ssize_t piece = recv_piece(c, fd, iov[i], flags);
        if (piece < 0)
            return got ? got : piece;
        got += piece;
        if ((size_t)piece < iov[i].iov_len || flags & MSG_PEEK)
            break;
        if (!(flags & MSG_WAITALL))
            flags |= MSG_DONTWAIT;
    }
    return got;
}

bool recv_drain(struct conn *c, int fd)
{
    struct call call = { .fd = fd };
    size_t drained = 0;
    char *scratch = block_get(DRAIN_MAX, NULL);

    while (scratch && c->state == CONN_EXCHANGE && drained < DRAIN_MAX) {
        ssize_t n = step(c, &call, scratch, DRAIN_MAX, 0);
        if (n <= 0 && n != -ESTALE)
            break;
        drained += n > 0 ? (size_t)n : 1;
    }
    if (scratch)
        block_put(scratch, DRAIN_MAX);
    return c->state == CONN_ENDED;
}
