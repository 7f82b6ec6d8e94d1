/* SPDX-License-Identifier: ISC */
/* The loops over the steps of a receive (recv_step.c): they give no less than the kernel would have given. */
#define _GNU_SOURCE
#include "preload/wire/recv.h"

#include "base/block.h"
#include "base/pieces.h"
#include "preload/conn/stall.h"
#include "preload/conn/swap.h"
#include "preload/conn/withheld.h"
#include "preload/fds/socket.h"
#include "preload/libc/real.h"
#include "preload/self/self.h"
#include "preload/wire/lookahead.h"
#include "preload/wire/observed.h"
#include "preload/wire/provisional.h"
#include "preload/wire/release.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

enum { PATIENCE_MS = 10000 };

/* A blocking client that polls and then receives with MSG_DONTWAIT takes EAGAIN for a failure (PHP).
 * Where bytes were taken that make nothing yet, half a head, or where what it was told of was the end of
 * a connection that has been replaced, it is made to wait for more.  False: no such case, or too long. */
static bool wait_for_more(struct conn *c, const struct incoming *call, uint64_t *deadline)
{
    struct pollfd wait = { .fd = call->fd, .events = POLLIN };

    if (c->nonblocking || call->peek || (!call->took && c->reply.seen != SEEN_READABLE))
        return false;
    uint64_t now = self_now_ms();
    if (!*deadline)
        *deadline = now + PATIENCE_MS;
    if (now >= *deadline)
        return false;
    conn_outside_begin(c);
    int ready = real.poll(&wait, 1, (int)(*deadline - now));
    conn_outside_end(c);
    return ready > 0;
}

/* libc alone has the socket now, and the client has got all that was held: what is queued behind it comes in the same call.  An
 * error stays for the next one. */
static size_t take_queued(int fd, char *buf, size_t len)
{
    int queued = 0;
    ssize_t n = real.ioctl(fd, FIONREAD, &queued) == 0 && queued > 0 ? real.recv(fd, buf, len, MSG_DONTWAIT) : 0;

    return n > 0 ? (size_t)n : 0;
}

/* Never shorter than the kernel would have been: goes on, without waiting, until the buffer is full,
 * the kernel has no more, or the message ends. */
static ssize_t recv_exchange(struct conn *c, struct incoming *call, char *buf, size_t len, bool waitall)
{
    bool may_wait = call->wait, lost = false;
    uint64_t deadline = 0;
    size_t got = 0;

    while (got < len && !(lost = c->fds.count == 0 && !incoming_for_client(c))) {
        call->wait = may_wait && (got == 0 || waitall);
        call->full = false;
        size_t held = incoming_for_client(c);
        ssize_t n = recv_step(c, call, buf + got, len - got, call->peek ? got : 0);
        if (n == -ESTALE)
            continue;
        if (n == -EAGAIN && got == 0 && !may_wait && wait_for_more(c, call, &deadline))
            continue;
        if (n == 0 || (n < 0 && got && (n == -EAGAIN || n == -EINTR)))
            break;
        if (n < 0 && got) {
            c->reply.error = (int)-n;
            break;
        }
        if (n < 0)
            return n;
        got += (size_t)n;
        conn_saw(c, SEEN_BYTES);
        if (call->peek && held <= got - (size_t)n)
            break; /* what the kernel had was seen */
        if (!waitall && !call->full)
            break;
    }
    if (lost && got == 0)
        return conn_lost(c);
    if (lost && c->x.kind == EXCHANGE_OPAQUE && !c->fds.closed && !call->peek)
        got += take_queued(call->fd, buf + got, len - got);
    if (!call->peek && got == len && c->fds.count && (c->reply.seen == SEEN_PEEKS || exchange_between_chunks(&c->x)))
        lookahead_take_framing(c, call);
    return (ssize_t)got;
}

/* A client that receives before it has sent through us: libc's answer.  While another thread sends the request,
 * it must not take the response away, neither by waiting here nor by a call that is made a moment later: it looks
 * without taking.  What arrives on an idle connection although nothing was sent answers something that left
 * unseen, or it is dead: libc alone has it from then on. */
static __attribute__((noinline)) ssize_t recv_before_request(struct conn *c, int fd, int flags)
{
    bool wait = !c->nonblocking && !(flags & MSG_DONTWAIT);
    unsigned generation = c->fds.generation;

    if (flags & (MSG_OOB | MSG_ERRQUEUE) || conn_is_secured(c))
        return CONN_PLAIN;
    if (hold_len(&c->request.bytes) && (wait || withheld_due(c))) { /* it waits for an answer to that */
        int result = release_some(c, fd);
        if (result < 0 || c->fds.count == 0)
            return result < 0 ? result : CONN_PLAIN;
        fd = conn_number(c, fd);
        generation = c->fds.generation;
    }
    ssize_t n = incoming_wait(c, fd, wait ? 0 : MSG_DONTWAIT);
    int error = n < 0 ? errno : 0;
    conn_wait_reconnected(c);
    if (c->fds.generation != generation || conn_is_asked(c))
        return -ESTALE;
    bool end = error ? socket_is_end(-error) : n == 0;
    if (c->fds.count && conn_is_leased(c) && !c->copied && (end || (!error && c->idle.secured) || (!error && hold_len(&c->request.bytes)))) {
        /* What is still to come goes out on another one. */
        int result = swap_rehome_at_once(c);
        return result < 0 ? result : -ESTALE;
    }
    if (error)
        return -error;
    if (c->fds.count == 0)
        return n == 0 ? 0 : conn_lost(c);
    if (conn_is_leased(c))
        conn_bypass(c, REASON_odd_descriptor);
    return CONN_PLAIN;
}

/* An error behind bytes is told by the next call, as the kernel does. */
static ssize_t behind_bytes(struct conn *c, size_t got, ssize_t result)
{
    if (got == 0)
        return result;
    if (result < 0 && result != CONN_PLAIN && result != -EAGAIN && result != -EINTR)
        c->reply.error = (int)-result;
    return (ssize_t)got;
}

/* tcp(7): MSG_TRUNC discards instead of copying, and the pointer may be anything. */
static __attribute__((noinline)) ssize_t recv_nowhere(struct conn *c, struct incoming *call, size_t room, bool waitall)
{
    char bounce[512];
    size_t got = 0;

    while (got < room) {
        size_t len = room - got < sizeof bounce ? room - got : sizeof bounce;
        ssize_t n = recv_exchange(c, call, bounce, len, waitall);
        if (n <= 0)
            return behind_bytes(c, got, n);
        got += (size_t)n;
        call->wait = call->wait && waitall;
        if (call->peek || (size_t)n < len)
            break;
    }
    return (ssize_t)got;
}

static ssize_t recv_piece(struct conn *c, int fd, struct iovec piece, int flags)
{
    struct incoming call = {
        .fd = fd,
        .flags = flags & ~(MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT | MSG_TRUNC),
        .peek = flags & MSG_PEEK,
        .wait = !c->nonblocking && !(flags & MSG_DONTWAIT),
    };
    bool waitall = flags & MSG_WAITALL && call.wait && !call.peek;

    if (!(flags & MSG_TRUNC) && piece.iov_base)
        return recv_exchange(c, &call, piece.iov_base, piece.iov_len, waitall);
    return recv_nowhere(c, &call, piece.iov_len, waitall);
}

/* A peek at several pieces is one peek. */
static ssize_t peek_pieces(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    struct iovec whole = { .iov_len = pieces_total(iov, (size_t)n) };

    if (whole.iov_len > BLOCK_MAX)
        whole.iov_len = BLOCK_MAX;
    whole.iov_base = block_get(whole.iov_len, NULL);
    if (!whole.iov_base)
        return -ENOMEM;
    ssize_t got = wire_receive(c, fd, &whole, 1, flags);
    size_t left = got > 0 ? (size_t)got : 0;
    const char *from = whole.iov_base;
    for (int i = 0; left; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (part)
            memcpy(iov[i].iov_base, from, part);
        from += part;
        left -= part;
    }
    block_put(whole.iov_base, whole.iov_len);
    return got;
}

/* OBSERVED, several pieces: one real call fills them where nothing is held or in doubt.  Does not wait.  0: piece by
 * piece, then. */
static ssize_t recv_pieces_at_once(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };
    bool plain = !provisional_in_doubt(c) && (c->reply.held == HELD_NOTHING || c->reply.held == HELD_GIVEN);

    if (!plain || c->reply.error || c->reply.kernel_error || flags & (MSG_WAITALL | MSG_TRUNC))
        return 0;
    ssize_t got = real.recvmsg(conn_number(c, fd), &msg, flags | MSG_DONTWAIT);
    if (got < 0 && socket_is_end(-errno)) /* the kernel tells it once */
        c->reply.kernel_error = errno;
    if (got <= 0)
        return 0;
    stall_over(c, true);
    conn_saw(c, SEEN_BYTES);
    size_t left = (size_t)got;
    for (; left; iov++) {
        size_t part = iov->iov_len < left ? iov->iov_len : left;
        if (part)
            observed_follow(c, iov->iov_base, part);
        left -= part;
    }
    return got;
}

ssize_t wire_receive(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    ssize_t got = 0;

    if (n > IOV_MAX)
        return CONN_PLAIN;
    while (n && iov->iov_len == 0)
        iov++, n--;
    if (n == 0 && !conn_has_ended(c))
        return CONN_PLAIN;
    if (n > 1 && flags & MSG_PEEK)
        return peek_pieces(c, fd, iov, n, flags);
    while (n && !conn_is_asked(c) && !conn_has_ended(c)) {
        got = recv_before_request(c, fd, flags);
        if (got != -ESTALE)
            return got;
        if (c->fds.count == 0)
            return conn_lost(c);
    }
    got = 0;
    if (flags & (MSG_OOB | MSG_ERRQUEUE)) {
        conn_forbid_parking(c, REASON_odd_descriptor);
        return CONN_PLAIN;
    }
    if (n > 1 && conn_is_observed(c))
        got = recv_pieces_at_once(c, fd, iov, n, flags);
    if (got > 0)
        return got;
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len == 0)
            continue;
        ssize_t piece = recv_piece(c, fd, iov[i], flags);
        if (piece < 0)
            return behind_bytes(c, (size_t)got, piece);
        got += piece;
        if ((size_t)piece < iov[i].iov_len || flags & MSG_PEEK)
            break;
        if (!(flags & MSG_WAITALL))
            flags |= MSG_DONTWAIT;
    }
    return got;
}
