/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/observed.h"

#include "preload/wire/incoming.h"
#include "preload/wire/outgoing.h"
#include "preload/conn/path.h"
#include "preload/wire/provisional.h"
#include "preload/libc/real.h"
#include "preload/conn/stall.h"
#include "preload/conn/trial.h"
#include "preload/fds/socket.h"
#include "preload/conn/parking.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static void follow_server(struct conn *c, const char *bytes, size_t len)
{
    struct hold *partial = &c->reply.bytes;

    if (!conn_head_partly_sent(c))
        hold_clear(&c->request.bytes); /* the time for a replay is over */
    if (hold_len(partial)) {
        if (!hold_append(partial, bytes, len)) {
            exchange_release(&c->x, REASON_no_memory);
            return;
        }
        partial->start += exchange_follow(&c->x, partial->data + partial->start, hold_len(partial));
        if (hold_len(partial) == 0)
            hold_clear(partial);
        return;
    }
    size_t used = exchange_follow(&c->x, bytes, len);
    if (used == len)
        return;
    c->reply.held = HELD_GIVEN;
    if (!hold_append(partial, bytes + used, len - used))
        exchange_release(&c->x, REASON_no_memory);
}

/* Shows `len` bytes of the pieces. */
static void show(struct conn *c, const struct iovec *iov, int n, size_t len)
{
    for (int i = 0; i < n && len && c->x.kind == EXCHANGE_OBSERVED; i++) {
        size_t part = iov[i].iov_len < len ? iov[i].iov_len : len;
        if (part)
            follow_server(c, iov[i].iov_base, part);
        len -= part;
    }
    outgoing_leave_if_lost(c);
}

static ssize_t receive(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };
    struct incoming call = {
        .fd = fd,
        .flags = flags & ~(MSG_PEEK | MSG_DONTWAIT),
        .wait = !c->nonblocking && !(flags & MSG_DONTWAIT),
    };

    if (n == 1 || c->reply.kernel_error)
        return incoming_receive(c, &call, iov->iov_base, iov->iov_len, flags & MSG_PEEK);
    /* Waits by a peek, so that the pieces are filled at once. */
    ssize_t there = 1;
    if (call.wait && c->waiter.ticket && stall_wait(c, fd, POLLIN) < 0)
        return -EINTR;
    if (call.wait)
        there = incoming_wait(c, fd, call.flags & ~MSG_WAITALL);
    fd = conn_number(c, fd);
    if (there <= 0)
        return there < 0 ? -errno : 0;
    there = real.recvmsg(fd, &msg, flags | MSG_DONTWAIT);
    return there < 0 ? -errno : there;
}

/* What is left of the pieces behind `skip` bytes, in `rest`; returns how many pieces that is. */
static int rest_of(const struct iovec *iov, int n, size_t skip, struct iovec *rest)
{
    for (int i = 0; i < n; i++) {
        if (skip < iov[i].iov_len) {
            *rest = (struct iovec){ (char *)iov[i].iov_base + skip, iov[i].iov_len - skip };
            return n - i;
        }
        skip -= iov[i].iov_len;
    }
    return 0;
}

/* Does the client have to get bytes that were held back? */
static bool holds_back(const struct conn *c)
{
    return c->reply.held == HELD_RAW && hold_len(&c->reply.bytes);
}

/* The client has got all that was held back: now it is followed. */
static void follow_held(struct conn *c)
{
    struct hold held = c->reply.bytes;

    c->reply.bytes = (struct hold){ .data = NULL };
    c->reply.held = HELD_NOTHING;
    follow_server(c, held.data, held.end);
    hold_clear(&held);
    outgoing_leave_if_lost(c);
}

/* The bytes that were held back, and what is there behind them: never shorter than the kernel would have been. */
static ssize_t serve_held(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    struct hold *held = &c->reply.bytes;
    size_t given = 0;
    struct iovec rest;

    for (int i = 0; i < n && given < hold_len(held); i++) {
        size_t left = hold_len(held) - given, part = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (part)
            memcpy(iov[i].iov_base, held->data + held->start + given, part);
        given += part;
    }
    if (flags & MSG_PEEK)
        return (ssize_t)given;
    held->start += given;
    if (hold_len(held))
        return (ssize_t)given;
    follow_held(c);
    if (!conn_is_observed(c) || c->fds.count == 0 || rest_of(iov, n, given, &rest) == 0)
        return (ssize_t)given;
    ssize_t more = receive(c, fd, &rest, 1, flags & MSG_WAITALL ? flags : flags | MSG_DONTWAIT);
    if (more < 0 && socket_is_end(more))
        c->reply.kernel_error = (int)-more; /* told by the next call, as the kernel does */
    if (more <= 0)
        return (ssize_t)given;
    show(c, &rest, 1, (size_t)more);
    return (ssize_t)given + more;
}

/* Looks at what has come behind the held bytes; takes it out only if it says nothing yet.  -ESTALE: look again. */
static ssize_t peek_opening(struct conn *c, int fd, int flags)
{
    struct incoming call = { .fd = fd, .wait = !c->nonblocking && !(flags & MSG_DONTWAIT) };
    struct hold *held = &c->reply.bytes;

    if (!hold_reserve(held, INCOMING_ROOM - held->end))
        return -ENOMEM;
    c->reply.held = HELD_RAW;
    ssize_t n = incoming_receive(c, &call, held->data + held->end, INCOMING_ROOM - held->end, true);
    if (n <= 0)
        return n;
    if (parking_answers_another(c))
        return provisional_earlier_reply(c);
    int verdict = provisional_judge(c, (struct slice){ held->data, held->end + (size_t)n }, held->end);
    if (verdict != 0)
        return verdict < 0 ? verdict : -ESTALE;
    held->end += (size_t)n - socket_discard(call.fd, (size_t)n);
    return -ESTALE;
}

/* Nothing is the client's before it is known whose it is.  Most often it lies in the client's buffer then. */
static ssize_t recv_opening(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    enum { ROOMY = 1024 };
    bool direct =
        !hold_len(&c->reply.bytes) && n == 1 && iov->iov_len >= ROOMY && !(flags & (MSG_PEEK | MSG_WAITALL));
    ssize_t got = direct ? receive(c, fd, iov, n, flags) : peek_opening(c, fd, flags);

    if (!direct || got <= 0)
        return got;
    if (parking_answers_another(c))
        return provisional_earlier_reply(c);
    int verdict = provisional_judge(c, (struct slice){ iov->iov_base, (size_t)got }, (size_t)got);
    if (verdict < 0)
        return verdict;
    if (verdict == 0 && hold_append(&c->reply.bytes, iov->iov_base, (size_t)got)) {
        c->reply.held = HELD_RAW;
        return -ESTALE;
    }
    show(c, iov, n, (size_t)got);
    return got;
}

/* The connection is at its end; `got` says how. */
static ssize_t end_of(struct conn *c, ssize_t got)
{
    if (holds_back(c)) { /* the beginning of an answer, and no more comes */
        hold_clear(&c->request.bytes);
        c->reply.kernel_error = (int)-got;
        return -ESTALE;
    }
    int result = exchange_answered(&c->x) ? -ENOTSUP : outgoing_replay(c);
    if (result == 0)
        return -ESTALE;
    if (c->trial == TRIAL_CLOSE && got == 0)
        trial_await_close(c);
    conn_forbid_parking(c, REASON_closed_by_server);
    return result == -ENOTSUP ? got : result;
}

ssize_t observed_recv(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    bool provisional = provisional_is(c) || c->reply.first;

    if (flags & (MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE)) {
        conn_bypass(c, REASON_odd_descriptor);
        return CONN_PLAIN;
    }
    if (!provisional && holds_back(c))
        return serve_held(c, fd, iov, n, flags);
    if (!provisional && c->reply.held == HELD_RAW) { /* room that was not needed */
        hold_clear(&c->reply.bytes);
        c->reply.held = HELD_NOTHING;
    }
    ssize_t got = provisional ? recv_opening(c, fd, iov, n, flags) : receive(c, fd, iov, n, flags);

    if (got <= 0 && c->reply.first && provisional_is_over(got) && provisional_fall_back(c) == 0)
        return -ESTALE;
    if (got <= 0 && !socket_is_end(got) && !path_is_broken(c, (int)-got))
        return got;
    if (got <= 0)
        return end_of(c, got);
    stall_over(c, true);
    if (!provisional && !(flags & MSG_PEEK))
        show(c, iov, n, (size_t)got);
    path_answered(c, exchange_idle(&c->x));
    if (c->trial != TRIAL_NONE)
        trial_look(c);
    if (c->trial == TRIAL_CLOSE && exchange_outstanding(&c->x) == 0)
        trial_await_close(c);
    return got;
}

enum reason observed_verdict(const struct conn *c)
{
    enum reason why = exchange_verdict(&c->x);

    if (conn_head_partly_sent(c)) /* the server takes what comes next for the rest of it */
        return REASON_request_unfinished;
    if (c->unparkable != REASON_none && (why == REASON_none || c->unparkable != REASON_closed_by_server))
        return c->unparkable;
    if (why != REASON_none) /* also where the server has closed for that reason */
        return why;
    return exchange_idle(&c->x) ? REASON_none : REASON_response_unfinished;
}
