/* SPDX-License-Identifier: ISC */
/* A request's head is recognised, adapted, and sent on the right connection (send_first); what follows is behind.c's
 * business.  Where the kernel takes only part of an adapted head from a client that does not block, the client is told
 * that the last byte of its own head was not taken; when it comes again with that byte, the rest goes out first. */
#define _GNU_SOURCE
#include "preload/wire/send.h"

#include "base/pieces.h"
#include "http/request.h"
#include "preload/conn/event.h"
#include "preload/wire/after_end.h"
#include "preload/wire/behind.h"
#include "preload/self/choice.h"
#include "preload/wire/dialect.h"
#include "preload/conn/connecting.h"
#include "preload/share/evidence.h"
#include "preload/wire/outgoing.h"
#include "preload/conn/path.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/conn/stall.h"
#include "preload/conn/swap.h"
#include "preload/conn/trial.h"
#include "preload/conn/withheld.h"
#include "preload/conn/parking.h"
#include "preload/wire/release.h"
#include "preload/wire/secured.h"

#include <errno.h>
#include <string.h>

/* Not ours: what was held goes out, then libc alone has the socket. */
static ssize_t bypass(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    enum reason why = c->x.reason != REASON_none ? c->x.reason : REASON_not_http;
    int result = release_all(c, fd);

    if (result < 0)
        return result;
    ssize_t sent = CONN_PLAIN;
    if (c->request.by_send == BY_SEND_REHOMED || c->request.by_send == BY_SEND_CLIENTS_OWN) {
        struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };
        sent = outgoing_transmit(c, fd, msg.msg_iov, n, flags);
        /* Nothing went out, and the socket is not connected yet: the client comes again. */
        if (sent < 0 && c->request.by_send != BY_SEND_NO && c->request.by_send != BY_SEND_FAILED)
            return sent;
    }
    conn_bypass(c, why);
    return sent;
}

/* A part of a head, or a head without all of its body, is in `request`: is it to stay there?  Where a thread waits
 * for an answer already, nothing would tell that thread. */
static bool may_withhold(struct conn *c)
{
    if (c->use.inside || c->copied)
        return false;
    if (exchange_awaits_body(&c->x) || !exchange_is_http(&c->x, c->request.bytes.data, c->request.bytes.end))
        withheld_begin(c);
    return true;
}

/* The beginning of a request line: nothing in it can change. */
static ssize_t send_line(struct conn *c, int fd, size_t held, int flags)
{
    if (conn_is_leased(c) && !c->copied) {
        int result = swap_rehome(c, false);
        if (result < 0)
            return result;
    }
    size_t owed = held - c->request.bytes.start; /* withheld until now */
    struct iovec unsent = { c->request.bytes.data + c->request.bytes.start,
                            c->request.bytes.end - c->request.bytes.start };
    ssize_t sent = outgoing_transmit(c, fd, &unsent, 1, flags);
    if (sent < 0)
        return sent;
    c->request.bytes.start += (size_t)sent;
    if ((size_t)sent <= owed)
        return -EAGAIN;
    c->request.bytes.end = c->request.bytes.start;
    exchange_client(&c->x, c->request.bytes.data, c->request.bytes.end);
    return sent - (ssize_t)owed;
}

/* By the settings.  9112 3.2.2: the authority of an absolute target counts, else the Host field. */
static __attribute__((noinline)) bool is_excluded(const struct endpoint *to, struct slice head)
{
    struct request_head parsed;
    struct slice name = { head.data, 0 };

    if (request_parse(head.data, head.len, 0, &parsed) == HEAD_DONE)
        name = parsed.host;
    return choice_leaves_name(to, name);
}

/* Why this request cannot be adapted, although it could be read. */
static enum reason objection(const struct conn *c, const struct request *request, struct slice head)
{
    if (choice_goes_by_name() && is_excluded(&c->to, head))
        return REASON_excluded;
    if (request->one_shot && request->minor == 0 && !self.config.upgrade)
        return REASON_no_upgrade;
    if (request->one_shot && !request->has_host && self.config.host == CONFIG_HOST_NEVER)
        return REASON_no_host;
    if (c->copied)
        return c->unparkable != REASON_none ? c->unparkable : REASON_duplicated;
    return dialect_objection(c);
}

/* The lease was provisional until the request was known. */
static int choose_lease(struct conn *c, const struct request *request, size_t head)
{
    bool fresh = self.config.unsafe == CONFIG_UNSAFE_FRESH;

    if (!conn_is_leased(c))
        return 0;
    if (fresh && (!request->idempotent || !outgoing_holdable(c, head))) {
        conn_event(c, EVENT_REASON, request->idempotent ? REASON_long_body : REASON_unsafe_method);
        return swap_rehome(c, false); /* see swap.h */
    }
    enum reason ill = c->copied && !c->idle.unseen ? REASON_none : parking_second_look(c);
    if (ill != REASON_none) {
        conn_event(c, EVENT_REASON, ill);
        if (c->copied) /* nothing can take its place */
            return -ECONNRESET;
        return swap_exchange_lease(c, false);
    }
    if (request->host != c->idle.host || request->absolute != c->idle.absolute ||
        request->proxy_auth != c->idle.proxy_auth)
        return swap_exchange_lease(c, true);
    return 0;
}

/* LEASED: why the request wants a connection of its own, or REASON_none. */
static enum reason objection_to_lease(struct conn *c)
{
    const bool is_asked = c->trial == TRIAL_DUE || c->idle.after_body;
    const struct trial_request request = { .idempotent = is_asked && exchange_idempotent(&c->x),
                                           .has_more = is_asked && exchange_request_left(&c->x) };

    return trial_begin(c, request);
}

static int choose_connection(struct conn *c, const struct request *request, size_t head)
{
    int result = choose_lease(c, request, head);
    enum reason why = result == 0 && conn_is_leased(c) ? objection_to_lease(c) : REASON_none;

    if (why != REASON_none) {
        conn_event(c, EVENT_REASON, why);
        result = swap_rehome(c, why == REASON_on_trial);
    }
    if (result == 0 && c->state == CONN_FRESH)
        trial_choose(c);
    return result;
}

/* The head as it will go out, with as much of it marked as sent as went out already. */
static bool build_head(struct conn *c, const char *head, size_t take, struct hold *out)
{
    char authority[ENDPOINT_TEXT_MAX];
    size_t len = 0;

    if (!c->x.request.one_shot || trial_goes_unchanged(c)) {
        exchange_observe(&c->x);
        out->start = c->request.bytes.start;
        return hold_append(out, head, take);
    }
    if (!c->x.request.has_host && !c->x.request.absolute)
        len = endpoint_authority(&c->to, authority);
    if (!hold_reserve(out, take + len + EXCHANGE_REQUEST_GROWTH))
        return false;
    out->start = c->request.bytes.start;
    c->x.closing = c->trial == TRIAL_CLOSE;
    c->x.close_unsaid = c->x.request.minor == 0 && evidence_has(&c->to, EVIDENCE_SAYS_NO_CLOSE);
    out->end = exchange_adapt(&c->x, head, take, (struct slice){ authority, len }, out->data);
    return true;
}

/* A head went out of which a part of the body was accepted in earlier calls: so all of the body, `body`, was. */
static void send_accepted_body(struct conn *c, int fd, struct iovec body, size_t sent)
{
    struct iovec rest = { (char *)body.iov_base + sent, body.iov_len - sent };
    int result = rest.iov_len ? outgoing_all(c, fd, rest.iov_base, rest.iov_len) : 0;

    outgoing_sent(c, &rest, rest.iov_len);
    if (result < 0 && !outgoing_mend(c, -result))
        c->request.error = -result;
}

/* Of a request whose head has gone out: the server's close is tried with the client's own bytes (trial_goes_unchanged). */
static enum conn_state sent_state(const struct conn *c)
{
    return c->x.kind == EXCHANGE_OBSERVED ? CONN_OBSERVED : CONN_EXCHANGE;
}

/* A whole head of `head` bytes, and its whole body, of which a part was accepted in earlier calls: all of it lies
 * in `kept`, and `more` empty lines behind it. */
static ssize_t send_accepted(struct conn *c, int fd, const struct hold *kept, size_t head, size_t more, int flags)
{
    struct iovec body = { kept->data + head, c->x.ahead_len };
    size_t before = c->request.bytes.start;
    ssize_t sent = outgoing_head(c, fd, (struct outgoing_pieces){ &body, 1, 0 }, flags);

    if (sent < 0 && (sent != -EAGAIN || c->request.bytes.start == before))
        return sent;
    conn_set_state(c, sent_state(c));
    if (sent < 0) {
        int result = outgoing_all(c, fd, c->request.bytes.data + c->request.bytes.start, hold_len(&c->request.bytes));
        c->request.bytes.start = c->request.bytes.end;
        sent = 0;
        if (result < 0)
            c->request.error = -result;
    }
    send_accepted_body(c, fd, body, (size_t)sent);
    if (more && c->fds.count)
        hold_append(&c->request.behind, kept->data + head + body.iov_len, more);
    return 0;
}

/* A whole head: `take` bytes at `head`, of which `held` were accepted in earlier calls. */
static ssize_t send_adapted(struct conn *c, int fd, struct slice head, size_t held,
                            const struct iovec *iov, int n, int flags)
{
    struct hold kept = c->request.bytes, built = { 0 }, own = { 0 };
    bool accepted = held > head.len; /* a part of its body was, too */
    size_t used = accepted ? pieces_total(iov, (size_t)n) : head.len - held, all = held + used;

    int result = choose_connection(c, &c->x.request, head.len);
    if (result < 0)
        return result;
    if (!c->x.request.idempotent || !outgoing_holdable(c, head.len))
        path_unguard(c);
    if (dialect_wants(c) && !hold_append(&own, head.data, head.len + c->x.ahead_len)) /* the body lies behind it */
        own = (struct hold){ 0 };
    if (!build_head(c, head.data, head.len, &built)) {
        exchange_release(&c->x, REASON_no_memory);
        hold_clear(&own);
        return bypass(c, fd, iov, n, flags);
    }
    c->request.bytes = built;
    ssize_t sent = accepted ? send_accepted(c, fd, &kept, head.len, all - head.len - c->x.ahead_len, flags)
                            : outgoing_head(c, fd, (struct outgoing_pieces){ iov, n, used }, flags);
    if (sent < 0 && (sent != -EAGAIN || c->request.bytes.start == kept.start)) {
        hold_clear(&c->request.bytes); /* nothing went out: as if the call had not been made */
        hold_clear(&own);
        c->request.bytes = kept;
        return sent;
    }
    hold_clear(&kept);
    bool observed = c->x.kind == EXCHANGE_OBSERVED;
    if (sent < 0)
        conn_set_state(c, observed ? CONN_OBSERVED_PARTLY_SENT : CONN_EXCHANGE_PARTLY_SENT);
    else if (!accepted)
        conn_set_state(c, sent_state(c));
    stall_begin(c);
    if (sent > 0)
        stall_sent(c);
    if (observed)
        conn_event(c, EVENT_OBSERVED, REASON_none);
    else
        conn_event(c, EVENT_ADAPTED, REASON_none);
    if (sent < 0) {
        hold_clear(&own);
        outgoing_sending(c);
        return used > 1 ? (ssize_t)used - 1 : -EAGAIN;
    }
    if (!c->reused)
        dialect_keep(c, &own);
    size_t done = used + (size_t)sent;
    return done == pieces_total(iov, (size_t)n) ? (ssize_t)done
                                    : behind_send(c, fd, (struct outgoing_pieces){ iov, n, done }, flags);
}

/* Bytes that belong to a head, perhaps to its beginning only. */
static ssize_t send_first(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    size_t held = c->request.bytes.end, limit = EXCHANGE_HEAD_MAX + 1 - held;
    struct slice view = { iov->iov_base, iov->iov_len };
    struct exchange before = c->x;
    ssize_t result;

    bool direct = held == 0 && n == 1, kept = true;
    for (int i = 0; !direct && i < n && limit && kept; i++) {
        size_t len = iov[i].iov_len < limit ? iov[i].iov_len : limit;
        kept = hold_append(&c->request.bytes, iov[i].iov_base, len);
        limit -= len;
    }
    if (!direct)
        view = (struct slice){ c->request.bytes.data, c->request.bytes.end };
    struct exchange_step step = { .action = EXCHANGE_PASS };
    if (kept)
        step = exchange_client(&c->x, view.data, view.len);
    else
        exchange_release(&c->x, REASON_no_memory);
    if (direct && (step.action == EXCHANGE_HOLD || step.action == EXCHANGE_PASS_KEEP) &&
        !hold_append(&c->request.bytes, view.data, view.len))
        exchange_release(&c->x, REASON_no_memory);
    if (step.action == EXCHANGE_HOLD && c->x.kind == EXCHANGE_UNDECIDED && !may_withhold(c) &&
        exchange_awaits_body(&c->x))
        exchange_release(&c->x, c->copied ? REASON_duplicated : REASON_busy_thread);
    if (step.action == EXCHANGE_HEAD) {
        conn_event(c, EVENT_REQUEST, REASON_none);
        enum reason why = objection(c, &c->x.request, (struct slice){ view.data, step.take });
        if (view.len > step.take && exchange_goes_beyond(&c->x, view.data, view.len))
            why = REASON_open_ended;
        if (why != REASON_none)
            exchange_release(&c->x, why);
    }
    if (c->x.kind == EXCHANGE_OPAQUE) {
        c->request.bytes.end = held;
        result = secured_keeps_back(c, fd, iov, n) ? (ssize_t)iov->iov_len : bypass(c, fd, iov, n, flags);
    } else if (step.action == EXCHANGE_HEAD) {
        view.len = step.take;
        if (!direct)
            c->request.bytes.end = held; /* what lies behind it is still the client's */
        result = send_adapted(c, fd, view, held, iov, n, flags);
    } else if (step.action == EXCHANGE_PASS_KEEP && !(conn_is_leased(c) && may_withhold(c))) {
        c->x = before;
        result = send_line(c, fd, held, flags);
    } else {
        return (ssize_t)pieces_total(iov, (size_t)n);
    }
    if (result < 0 && result != CONN_PLAIN && !conn_is_asked(c)) {
        c->request.bytes.end = c->request.bytes.data ? held : 0;
        c->x = before;
        connecting_send_failed(c, (int)result);
    }
    return result;
}

/* Before a request.  The client's connection is whole, whatever became of the one that it was lent. */
static ssize_t send_nothing(const struct conn *c)
{
    bool lent = conn_is_leased(c) || c->request.by_send == BY_SEND_REHOMED;

    return !lent ? CONN_PLAIN : c->after.write_shut ? CONN_SIGPIPE : 0;
}

/* The rest of an adapted head, before anything else. */
static ssize_t send_rest_of_head(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    ssize_t sent = outgoing_head(c, fd, (struct outgoing_pieces){ NULL, 0, 0 }, flags);

    if (sent < 0)
        return sent;
    if (conn_head_partly_sent(c))
        conn_set_state(c, conn_is_observed(c) ? CONN_OBSERVED : CONN_EXCHANGE);
    if (!c->reused || exchange_answered(&c->x)) /* no replay */
        hold_clear(&c->request.bytes);
    return behind_send(c, fd, (struct outgoing_pieces){ iov, n, 1 }, flags);
}

ssize_t wire_send(struct conn *c, int fd, const struct iovec *iov, int n, int flags)
{
    size_t total = pieces_total(iov, (size_t)n);

    while (n > 1 && iov->iov_len == 0)
        iov++, n--;
    conn_wait_reconnected(c);
    if (c->fds.count == 0)
        return conn_lost(c);
    outgoing_sending(c);
    if (c->request.error && total && conn_is_asked(c)) {
        int error = c->request.error;
        c->request.error = 0;
        return -error;
    }
    switch (c->state) {
    case CONN_FRESH:
    case CONN_LEASED_UNREGISTERED:
    case CONN_LEASED:
        if (flags & MSG_OOB)
            exchange_release(&c->x, REASON_odd_descriptor);
        return total ? send_first(c, fd, iov, n, flags) : send_nothing(c);
    case CONN_EXCHANGE_PARTLY_SENT:
    case CONN_EXCHANGE:
        if (c->after.write_shut)
            return CONN_SIGPIPE;
        if (flags & MSG_OOB)
            conn_forbid_parking(c, REASON_odd_descriptor);
        if (!total || flags & MSG_OOB)
            return behind_send_odd(c, total);
        if (after_end_has_come(c))
            return after_end_send(c, total);
        break;
    case CONN_OBSERVED_PARTLY_SENT:
    case CONN_OBSERVED:
        if (!total)
            return CONN_PLAIN;
        break;
    case CONN_ENDED_UNSWAPPED:
    case CONN_ENDED:
        return after_end_send(c, total);
    default:
        return CONN_PLAIN;
    }
    return conn_head_partly_sent(c) ? send_rest_of_head(c, fd, iov, n, flags)
                                    : behind_send(c, fd, (struct outgoing_pieces){ iov, n, 0 }, flags);
}
