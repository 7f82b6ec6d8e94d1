#define _GNU_SOURCE
#include "preload/behind.h"

#include "preload/observed.h"
#include "preload/real.h"

#include <errno.h>

/* As the kernel: of a call that has sent a part, the next one tells the error. */
static ssize_t give_part(struct conn *c, size_t accepted, ssize_t error)
{
    if (!accepted)
        return error;
    if (error != -EAGAIN && error != -EINTR && error > -4096)
        c->send_error = (int)-error;
    return (ssize_t)accepted;
}

/* True: nothing is left of them. */
static bool skip(struct outgoing_pieces *from)
{
    for (; from->n && from->skip >= from->iov->iov_len; from->n--)
        from->skip -= from->iov++->iov_len;
    return from->n == 0;
}

/* Bytes that do not go out: of a send of nothing only the error is told. */
static struct exchange_step drop(struct outgoing_pieces *from, struct outgoing_batch *batch)
{
    struct exchange_step step = batch->n == 0 ? batch->stop : (struct exchange_step){ .action = EXCHANGE_PASS };

    if (step.action != EXCHANGE_PASS)
        batch->iov[batch->n++] = (struct iovec){ (char *)from->iov->iov_base + from->skip, 0 };
    return step;
}

/* One real call.  Returns how much of the pieces is dealt with, or -errno; *whole: all that was to go. */
static ssize_t send_batch(struct conn *c, int fd, struct outgoing_pieces from, int flags, bool *whole)
{
    struct outgoing_batch batch;
    unsigned generation = c->generation;
    int quiet = c->reused ? MSG_NOSIGNAL : 0, error;

    outgoing_begin(&batch);
    outgoing_collect(&c->x, from, &batch);
    struct exchange_step dropped = drop(&from, &batch);
    ssize_t sent = outgoing_send(c, fd, batch.iov, batch.n, flags | quiet | (batch.more ? MSG_MORE : 0), &error);
    if (sent < 0 && c->generation == generation && outgoing_mend(c, error))
        return send_batch(c, conn_number(c, fd), from, flags, whole);
    if (sent < 0)
        return error == EPIPE && quiet ? CONN_SIGPIPE : -error;
    *whole = (size_t)sent == batch.len;
    if (c->generation != generation)
        return dropped.action == EXCHANGE_PASS ? sent : (ssize_t)dropped.take;
    if (dropped.action != EXCHANGE_PASS) {
        exchange_client(&c->x, batch.iov[0].iov_base, dropped.take);
        return (ssize_t)dropped.take;
    }
    outgoing_sent(c, batch.iov, (size_t)sent);
    if (exchange_verdict(&c->x) == REASON_bytes_left) /* who knows what that asks for */
        hold_clear(&c->request);
    return sent;
}

static ssize_t send_adapted(struct conn *c, int fd, struct outgoing_pieces from, int flags)
{
    size_t accepted = from.skip;
    bool may_wait = !c->nonblocking && !(flags & MSG_DONTWAIT), whole = true;

    while (!skip(&from)) {
        ssize_t sent = send_batch(c, fd, from, flags, &whole);
        if (sent < 0)
            return give_part(c, accepted, sent);
        accepted += (size_t)sent;
        from.skip += (size_t)sent;
        if (c->nfds == 0)
            break; /* closed by another thread */
        fd = conn_number(c, fd);
        if (exchange_asks_close(&c->x)) /* the response came first */
            real.shutdown(fd, SHUT_WR);
        if ((!whole && !may_wait) || c->state != CONN_EXCHANGE)
            break;
    }
    return (ssize_t)accepted;
}

/* In one call.  What that does not accept was not accepted. */
static ssize_t send_observed(struct conn *c, int fd, struct outgoing_pieces from, int flags)
{
    size_t accepted = from.skip;

    while (!skip(&from)) {
        struct iovec part[OUTGOING_PIECES];
        int n = 0;
        size_t len = 0;
        for (; n < OUTGOING_PIECES && n < from.n; n++) {
            part[n] = from.iov[n];
            if (n == 0)
                part[0] = (struct iovec){ (char *)part[0].iov_base + from.skip, part[0].iov_len - from.skip };
            len += part[n].iov_len;
        }
        ssize_t sent = observed_send(c, fd, part, n, flags | (n < from.n ? MSG_MORE : 0));
        if (sent < 0)
            return give_part(c, accepted, sent);
        accepted += (size_t)sent;
        from.skip += (size_t)sent;
        if ((size_t)sent < len || c->nfds == 0)
            break;
        fd = conn_number(c, fd);
    }
    return (ssize_t)accepted;
}

ssize_t behind_send(struct conn *c, int fd, struct outgoing_pieces from, int flags)
{
    return c->state == CONN_OBSERVED ? send_observed(c, fd, from, flags) : send_adapted(c, fd, from, flags);
}
