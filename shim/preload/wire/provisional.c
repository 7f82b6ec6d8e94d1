/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/provisional.h"

#include "base/block.h"
#include "http/opening.h"
#include "preload/conn/event.h"
#include "preload/share/evidence.h"
#include "preload/wire/incoming.h"
#include "preload/wire/outgoing.h"
#include "preload/conn/path.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/conn/swap.h"
#include "preload/conn/under.h"
#include "preload/fds/socket.h"

#include <errno.h>

/* EVIDENCE_count: of no such status. */
static enum evidence genuine(unsigned status)
{
    switch (status) {
    case 400:
        return EVIDENCE_GENUINE_400;
    case 405:
        return EVIDENCE_GENUINE_405;
    case 408:
        return EVIDENCE_GENUINE_408;
    case 421:
        return EVIDENCE_GENUINE_421;
    case 501:
        return EVIDENCE_GENUINE_501;
    case 505:
        return EVIDENCE_GENUINE_505;
    default:
        return EVIDENCE_count;
    }
}

/* Bytes came that belong to the connection's past. */
static void mark(struct conn *c)
{
    conn_event(c, EVENT_REASON, REASON_poisoned);
    evidence_note(&c->to, EVIDENCE_UNEXPECTED_BYTES);
    pool_note_closed(&c->to, 0);
}

/* The client's fds lead to another socket from here on; this one stays ours. */
static bool hold_first(struct conn *c, struct slice taken, unsigned status)
{
    size_t cap;
    struct first_answer *first = block_get(sizeof *first, &cap);

    if (!first)
        return false;
    *first = (struct first_answer){ .fd = c->fds.private_fd, .status = status, .cap = cap };
    if (first->fd < 0)
        first->fd = private_dup(c->fds.numbers[0].fd);
    c->fds.private_fd = -1;
    conn_hold_first(c, first);
    if (first->fd >= 0 && (taken.len == 0 || hold_append(&first->bytes, taken.data, taken.len)))
        return true;
    c->fds.private_fd = first->fd;
    first->fd = -1;
    conn_drop_first(c);
    return false;
}

ssize_t provisional_earlier_reply(struct conn *c)
{
    struct exchange before = c->x;

    c->reply.peeked_unread = 0;
    exchange_unanswered(&c->x);
    int result = outgoing_replay(c);
    hold_clear(&c->reply.bytes);
    c->reply.held = HELD_NOTHING;
    if (result == 0) {
        conn_saw(c, SEEN_READABLE);
        return -ESTALE;
    }
    c->x = before;
    conn_forbid_parking(c, REASON_poisoned);
    swap_end(c);
    return -ECONNRESET;
}

/* As provisional_judge, of an answer that may be to the past. */
static int ask_again(struct conn *c, struct slice taken, unsigned status)
{
    struct exchange before = c->x;

    exchange_unanswered(&c->x);
    if (evidence_has(&c->to, genuine(status)) || c->use.inside || c->reply.seen >= SEEN_BYTES || !outgoing_may_replay(c) ||
        !hold_first(c, taken, status)) {
        c->x = before;
        return 1;
    }
    int result = outgoing_replay(c);
    if (result < 0 && c->reused) { /* the old one still lies under the fds */
        c->fds.private_fd = c->reply.first->fd;
        c->reply.first->fd = -1;
        conn_drop_first(c);
        c->x = before;
        return 1;
    }
    c->reply.peeked_unread = 0;
    hold_clear(&c->reply.bytes);
    c->reply.held = HELD_NOTHING;
    if (result < 0 && provisional_fall_back(c) < 0)
        return result;
    conn_saw(c, SEEN_READABLE);
    return -ESTALE;
}

/* As provisional_judge, of what comes on the fresh connection. */
static int compare(struct conn *c, struct slice bytes, enum opening opening)
{
    unsigned status = opening_status(bytes.data, bytes.len);

    if (status == c->reply.first->status)
        evidence_note(&c->to, genuine(status));
    else if (status >= 200)
        mark(c);
    else if (opening == OPENING_MORE)
        return 0;
    conn_drop_first(c);
    return 1;
}

int provisional_judge(struct conn *c, struct slice bytes, size_t taken)
{
    unsigned status;
    enum opening opening = opening_read(bytes.data, bytes.len, c->x.request.head_method, &status);
    int verdict = 1;

    if (c->reply.first)
        return compare(c, bytes, opening);
    switch (opening) {
    case OPENING_MORE:
        return 0;
    case OPENING_FOREIGN:
        mark(c);
        return (int)provisional_earlier_reply(c);
    case OPENING_DOUBTFUL:
        verdict = ask_again(c, (struct slice){ bytes.data, taken }, status);
        break;
    case OPENING_ANSWER:
        break;
    }
    if (verdict == 1)
        hold_clear(&c->request.bytes); /* the time for a replay is over */
    return verdict;
}

/* Of an adapted answer whose head is whole, the client's bytes are held; nothing more need come. */
static void adapt_held(struct conn *c)
{
    struct hold *h = &c->reply.bytes;

    if (!exchange_head_end(&c->x, h->data, h->end) || !hold_reserve(h, EXCHANGE_RESPONSE_GROWTH))
        return;
    struct exchange_reply reply = exchange_server(&c->x, h->data, h->end);
    h->end = reply.out;
    c->reply.held = HELD_FOR_CLIENT;
    incoming_follow(c, reply);
}

/* The bytes of a whole answer are held, and the kernel has none: the client has to be told all the same. */
static void end_held(struct conn *c)
{
    struct exchange ahead = c->x;

    c->reply.held = HELD_FOR_CLIENT;
    exchange_follow(&ahead, c->reply.bytes.data, c->reply.bytes.end);
    if (exchange_outstanding(&ahead) == 0 && c->fds.count)
        real.shutdown(c->fds.numbers[0].fd, SHUT_RD);
}

bool provisional_is_over(ssize_t n)
{
    return socket_is_end(n) || n == -ECONNREFUSED;
}

int provisional_fall_back(struct conn *c)
{
    struct first_answer *first = c->reply.first;

    if (!first || c->copied || c->fds.count == 0 || hold_len(&c->reply.bytes) || exchange_answered(&c->x) ||
        under_put(c, first->fd) < 0)
        return -ENOTSUP;
    private_close(c->fds.private_fd);
    c->fds.private_fd = first->fd;
    first->fd = -1;
    c->reply.bytes = first->bytes;
    first->bytes = (struct hold){ .data = NULL };
    conn_drop_first(c);
    bool any = hold_len(&c->reply.bytes);
    c->reply.held = any ? HELD_RAW : HELD_NOTHING;
    c->request.by_send = BY_SEND_NO;
    c->reply.kernel_error = 0;
    conn_forbid_parking(c, REASON_poisoned);
    hold_clear(&c->request.bytes);
    if (any && conn_is_exchange(c))
        adapt_held(c);
    else if (any)
        end_held(c);
    return 0;
}

/* Nothing has come that is the client's. */
static bool waits(const struct conn *c)
{
    if (c->fds.count == 0 || c->use.reconnecting || !conn_owns(c, c->fds.numbers[0].fd))
        return false;
    return conn_is_leased(c) ||
           (conn_is_asked(c) &&
            provisional_in_doubt(c) && !hold_len(&c->reply.bytes) && c->reply.seen < SEEN_BYTES);
}

/* The kernel tells an error once: a receive gets it from here if nothing can be done. */
bool provisional_is_dead(struct conn *c)
{
    int saved = errno;
    char byte;

    if (!waits(c))
        return false;
    ssize_t n = real.recv(c->fds.numbers[0].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    bool dead = n == 0 || (n < 0 && (socket_is_end(-errno) || path_is_broken(c, errno) ||
                                     (c->reply.first && provisional_is_over(-errno))));
    if (n < 0 && dead && !conn_is_leased(c))
        c->reply.kernel_error = errno;
    errno = saved;
    return dead;
}

int provisional_mend(struct conn *c)
{
    int saved = errno, result;

    if (!self_is_ours()) {
        result = -ENOTSUP;
    } else if (conn_is_leased(c)) {
        result = !conn_make_ready(c, NEED_ALL_BUT_END) || c->copied ? -ENOTSUP : swap_rehome_at_once(c);
        if (result == 0)
            conn_event(c, EVENT_REASON, REASON_stale);
    } else if (c->reply.first) {
        result = provisional_fall_back(c);
    } else {
        result = outgoing_replay_at_once(c);
        if (result != -ENOTSUP)
            c->reply.kernel_error = -result;
    }
    errno = saved;
    return result;
}
