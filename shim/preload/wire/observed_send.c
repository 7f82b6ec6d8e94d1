/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/observed_send.h"

#include "preload/conn/event.h"
#include "preload/conn/stall.h"
#include "preload/libc/real.h"
#include "preload/wire/outgoing.h"

#include <errno.h>

void observed_leave_if_lost(struct conn *c)
{
    if (c->x.kind == EXCHANGE_OPAQUE && c->fds.count)
        conn_bypass(c, c->x.reason);
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

/* A request that is not idempotent, sent behind others before any was answered, cannot be replayed. */
static void forbid_replay(struct conn *c)
{
    if (!exchange_idempotent(&c->x))
        hold_clear(&c->request.bytes);
}

ssize_t observed_send(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };
    unsigned generation = c->fds.generation;
    bool mendable = c->reused && !exchange_answered(&c->x);
    int quiet = mendable ? MSG_NOSIGNAL : 0;

    if (flags & MSG_OOB) {
        conn_bypass(c, REASON_odd_descriptor);
        return CONN_PLAIN;
    }
    conn_outside_begin(c);
    ssize_t sent = n == 1 ? real.send(fd, iov->iov_base, iov->iov_len, flags | quiet)
                          : real.sendmsg(fd, &msg, flags | quiet);
    int error = errno;
    conn_outside_end(c);
    if (sent < 0 && mendable && c->fds.generation == generation && outgoing_mend(c, error))
        return observed_send(c, conn_number(c, fd), iov, n, flags);
    if (sent < 0)
        return error == EPIPE && mendable ? CONN_SIGPIPE : -error;
    if (c->fds.generation == generation && c->fds.count) {
        observed_show(c, iov, n, (size_t)sent, follow_client);
        forbid_replay(c);
        stall_sent(c);
        outgoing_sending(c);
    }
    return sent;
}
