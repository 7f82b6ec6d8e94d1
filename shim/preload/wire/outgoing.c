/* SPDX-License-Identifier: ISC */
/* Where the kernel accepts only part of a head from a client that does not block, the rest stays in
 * `request`; send.c tells the client that the last byte of its own head was not accepted. */
#define _GNU_SOURCE
#include "preload/wire/outgoing.h"

#include "preload/conn/event.h"
#include "preload/conn/fresh.h"
#include "preload/conn/path.h"
#include "preload/libc/real.h"
#include "preload/conn/stall.h"
#include "preload/conn/swap.h"
#include "preload/conn/trial.h"
#include "preload/fds/socket.h"

#include <errno.h>
#include <poll.h>

enum { REPLAY_MAX = 65536 };

/* An errno: EAGAIN or EINPROGRESS if the send is to be tried again. */
static int connect_instead(const struct conn *c, int fd)
{
    int result = fresh_connect_at_once(c, fd);
    return result == 0 ? EAGAIN : -result;
}

ssize_t outgoing_transmit(struct conn *c, int fd, struct iovec *iov, int n, int flags)
{
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n };
    enum conn_by_send by_send = c->request.by_send;
    bool fastopen = by_send == BY_SEND_REHOMED || by_send == BY_SEND_CLIENTS_OWN;

    fd = conn_number(c, fd);
    if (fastopen) {
        msg.msg_name = &c->peer;
        msg.msg_namelen = c->peer_len;
        flags |= MSG_FASTOPEN;
    }
    ssize_t sent = n == 1 && !fastopen ? real.send(fd, iov->iov_base, iov->iov_len, flags)
                                       : real.sendmsg(fd, &msg, flags);
    if (!fastopen)
        return sent < 0 ? -errno : sent;
    bool own = by_send == BY_SEND_CLIENTS_OWN, begun = sent >= 0 || (errno != EAGAIN && errno != EINTR);
    if (begun)
        c->request.by_send = sent < 0 && own ? BY_SEND_FAILED : BY_SEND_NO;
    /* As where the sysctl net.ipv4.tcp_fastopen is without bit 0. */
    if (sent < 0 && errno == EOPNOTSUPP && !own)
        errno = connect_instead(c, fd);
    if (sent < 0 && own)
        return -errno;
    if (sent < 0)
        return errno == EINPROGRESS || errno == EAGAIN ? -EAGAIN
               : errno == EINTR || errno == EPIPE      ? -errno
                                                       : fresh_late_error(-errno);
    return sent;
}

static ssize_t send_once(int fd, const struct iovec *iov, int n, int flags)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };

    return n == 1 ? real.send(fd, iov->iov_base, iov->iov_len, flags) : real.sendmsg(fd, &msg, flags);
}

ssize_t outgoing_send(struct conn *c, int fd, const struct iovec *iov, int n, int flags, int *error)
{
    bool stalls = c->waiter.ticket && !conn_is_observed(c) && !c->nonblocking && !(flags & MSG_DONTWAIT);
    unsigned generation = c->fds.generation;

    for (;;) {
        conn_outside_begin(c);
        ssize_t sent = send_once(fd, iov, n, flags | (stalls ? MSG_DONTWAIT : 0));
        *error = errno;
        conn_outside_end(c);
        if (sent >= 0 || *error != EAGAIN || !stalls || c->fds.generation != generation || c->fds.count == 0)
            return sent;
        int result = stall_wait(c, conn_number(c, fd), POLLOUT);
        if (result < 0) {
            *error = -result;
            return -1;
        }
        stalls = result == 0;
    }
}

bool outgoing_writable(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLOUT };

    int n = real.poll(&wait, 1, 1000);

    return n > 0 || (n < 0 && errno == EINTR);
}

int outgoing_all(struct conn *c, int fd, const char *bytes, size_t len)
{
    while (len) {
        struct iovec piece = { (void *)(uintptr_t)bytes, len };
        ssize_t sent = outgoing_transmit(c, fd, &piece, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent == -EINTR || (sent == -EAGAIN && outgoing_writable(conn_number(c, fd))))
            continue;
        if (sent < 0)
            return (int)sent;
        bytes += sent;
        len -= (size_t)sent;
    }
    return 0;
}

bool outgoing_holdable(const struct conn *c, size_t head)
{
    uint64_t body = exchange_request_left(&c->x);

    head += EXCHANGE_REQUEST_GROWTH + ENDPOINT_TEXT_MAX;
    return head <= REPLAY_MAX && body <= REPLAY_MAX - head;
}

void outgoing_keep(struct conn *c, const char *bytes, size_t len)
{
    if (!c->reused || !c->request.bytes.data)
        return;
    if (c->request.bytes.end + len > REPLAY_MAX || !hold_append(&c->request.bytes, bytes, len))
        hold_clear(&c->request.bytes);
    else
        c->request.bytes.start = c->request.bytes.end;
}

void outgoing_collect(const struct conn *c, struct outgoing_pieces from, struct outgoing_batch *batch)
{
    bool observed = conn_is_observed(c);
    struct exchange ahead;

    if (!observed)
        ahead = c->x;

    for (; from.n && (from.skip >= from.iov->iov_len); from.n--)
        from.skip -= from.iov++->iov_len;
    for (; from.n && !batch->cut; from.iov++, from.n--, from.skip = 0) {
        const char *bytes = (const char *)from.iov->iov_base + from.skip;
        size_t len = from.iov->iov_len - from.skip;
        if (len == 0)
            continue;
        if (batch->n == OUTGOING_PIECES) {
            batch->more = true;
            return;
        }
        batch->stop = observed ? (struct exchange_step){ EXCHANGE_PASS, len } : exchange_client(&ahead, bytes, len);
        batch->cut = batch->stop.action != EXCHANGE_PASS || batch->stop.take < len;
        if (batch->stop.action != EXCHANGE_PASS)
            return;
        batch->iov[batch->n++] = (struct iovec){ (void *)(uintptr_t)bytes, batch->stop.take };
        batch->len += batch->stop.take;
    }
}

/* Follows what was sent.  The beginning of a head is kept to be shown again. */
static void follow_client(struct conn *c, const char *bytes, size_t len)
{
    struct hold *partial = &c->request.rest;
    uint32_t requests = c->x.requests;

    outgoing_keep(c, bytes, len);
    if (hold_len(partial)) {
        if (!hold_append(partial, bytes, len)) {
            exchange_release(&c->x, REASON_no_memory);
            return;
        }
        bytes = partial->data + partial->start;
        len = hold_len(partial);
    }
    while (len && c->x.kind == EXCHANGE_OBSERVED) {
        struct exchange_step step = exchange_client(&c->x, bytes, len);
        if (step.action == EXCHANGE_PASS_KEEP)
            break;
        bytes += step.take;
        len -= step.take;
    }
    for (; requests < c->x.requests; requests++)
        conn_event(c, EVENT_MORE, REASON_none);
    if (hold_len(partial))
        partial->start = partial->end - len;
    else if (len && !hold_append(partial, bytes, len))
        exchange_release(&c->x, REASON_no_memory);
    if (len == 0)
        hold_clear(partial);
}

void outgoing_leave_if_lost(struct conn *c)
{
    if (c->x.kind == EXCHANGE_OPAQUE && c->fds.count && !conn_holds_back(c))
        conn_bypass(c, c->x.reason);
}

/* A request that is not idempotent, sent behind others before any was answered, cannot be replayed. */
static void forbid_replay(struct conn *c)
{
    outgoing_leave_if_lost(c);
    if (!exchange_idempotent(&c->x))
        hold_clear(&c->request.bytes);
}

void outgoing_sent(struct conn *c, const struct iovec *iov, size_t len)
{
    bool observed = conn_is_observed(c);

    for (; len; iov++) {
        size_t part = iov->iov_len < len ? iov->iov_len : len;
        if (!observed) {
            exchange_client(&c->x, iov->iov_base, part);
            outgoing_keep(c, iov->iov_base, part);
        } else if (part && c->x.kind == EXCHANGE_OBSERVED) {
            follow_client(c, iov->iov_base, part);
        }
        len -= part;
    }
    if (observed)
        forbid_replay(c);
    stall_sent(c);
    outgoing_sending(c);
}

/* Sends the head and, in the same call, the body behind it.  Returns the body bytes sent, or -EAGAIN with the
 * head sent in part (`request.start` tells) or not at all, or -errno. */
static ssize_t send_head(struct conn *c, int fd, struct outgoing_pieces body, int flags)
{
    struct outgoing_batch batch;
    size_t head = hold_len(&c->request.bytes);

    outgoing_begin(&batch);
    batch.n = 1;
    batch.iov[0] = (struct iovec){ c->request.bytes.data + c->request.bytes.start, head };
    if (body.n && !exchange_request_done(&c->x))
        outgoing_collect(c, body, &batch);
    /* A blocking client's own fast open waits for the handshake where it has no cookie. */
    bool waits = c->request.by_send == BY_SEND_CLIENTS_OWN;
    flags |= (waits ? 0 : MSG_DONTWAIT) | (c->reused ? MSG_NOSIGNAL : 0);
    ssize_t sent = outgoing_transmit(c, fd, batch.iov, batch.n, flags | (batch.more ? MSG_MORE : 0));
    if (sent < 0)
        return sent;
    if ((size_t)sent < head) { /* there may be room for more: then no event would tell */
        c->request.bytes.start += (size_t)sent;
        return sent ? send_head(c, fd, body, flags) : -EAGAIN;
    }
    c->request.bytes.start = c->request.bytes.end;
    size_t extra = (size_t)sent - head;
    outgoing_sent(c, batch.iov + 1, extra);
    return (ssize_t)extra;
}

/* False: too long, or closed or replaced meanwhile. */
static bool wait_for_room(struct conn *c, int fd)
{
    unsigned generation = c->fds.generation;

    if (!conn_head_partly_sent(c)) /* nobody else may touch it yet */
        return outgoing_writable(conn_number(c, fd));
    conn_outside_begin(c);
    outgoing_writable(conn_number(c, fd));
    conn_outside_end(c);
    return c->fds.generation == generation && c->fds.count;
}

/* A client that blocks does not learn of a socket without room. */
ssize_t outgoing_head(struct conn *c, int fd, struct outgoing_pieces body, int flags)
{
    size_t before = c->request.bytes.start;
    bool may_wait = !c->nonblocking && !(flags & MSG_DONTWAIT);
    ssize_t sent = send_head(c, fd, body, flags);

    while (may_wait && (sent == -EAGAIN || (sent == -EINTR && c->request.bytes.start > before)) &&
           wait_for_room(c, fd))
        sent = send_head(c, fd, body, flags);
    if (c->fds.count == 0)
        return -EBADF;
    if (sent < 0 && sent != -EAGAIN && sent != -EINTR && c->reused && !c->copied) {
        /* Broken before it was sent whole: nothing was asked yet. */
        conn_event(c, EVENT_REASON, REASON_stale);
        int result = swap_rehome(c, false);
        c->request.bytes.start = result < 0 ? c->request.bytes.start : 0;
        return result < 0 ? result : outgoing_head(c, fd, body, flags);
    }
    if (sent < 0 && c->request.bytes.start > before) { /* sent in part: the next call tells */
        c->request.error = sent == -EAGAIN || sent == -EINTR ? 0 : (int)-sent;
        return -EAGAIN;
    }
    return sent;
}

bool outgoing_may_replay(const struct conn *c)
{
    return c->reused && !c->copied && !c->after.read_shut &&
           exchange_idempotent(&c->x) && c->request.bytes.data && !conn_head_partly_sent(c) &&
           !exchange_answered(&c->x) && c->fds.count;
}

static int replay(struct conn *c, bool at_once)
{
    if (c->use.reconnecting && c->use.reconnecting != conn_self()) {
        conn_wait_reconnected(c); /* another thread does it */
        return 0;
    }
    if (!outgoing_may_replay(c))
        return -ENOTSUP;
    conn_event(c, EVENT_REASON, REASON_replayed);
    trial_failed(c);
    int result = at_once ? swap_rehome_at_once(c) : swap_rehome(c, false);
    if (result < 0)
        return result;
    conn_event(c, EVENT_REPLAYED, REASON_none);
    stall_begin(c);
    if (!c->request.bytes.data)
        return -ENOTSUP;
    result = outgoing_all(c, c->fds.numbers[0].fd, c->request.bytes.data, c->request.bytes.end);
    hold_clear(&c->request.bytes); /* once more, and not again */
    if (result == 0 && c->unparkable == REASON_half_closed && c->fds.count) /* by the client, after its request */
        real.shutdown(c->fds.numbers[0].fd, SHUT_WR);
    return result < 0 ? fresh_late_error(result) : 0;
}

int outgoing_replay(struct conn *c)
{
    return replay(c, false);
}

int outgoing_replay_at_once(struct conn *c)
{
    return replay(c, true);
}

bool outgoing_mend(struct conn *c, int error)
{
    char byte;

    if ((error != EPIPE && !socket_is_end(-error) && !path_is_broken(c, error)) || !c->reused ||
        c->fds.count == 0 || hold_len(&c->reply.bytes) || c->unparkable == REASON_half_closed)
        return false;
    if (real.recv(c->fds.numbers[0].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
        return false; /* it has answered before it closed */
    return outgoing_replay(c) == 0;
}

void outgoing_sending_guarded(struct conn *c)
{
    if (conn_is_asked(c) && !outgoing_may_replay(c))
        path_unguard_now(c);
}
