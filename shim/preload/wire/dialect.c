/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/dialect.h"

#include "http/opening.h"
#include "preload/conn/event.h"
#include "preload/share/evidence.h"
#include "preload/wire/outgoing.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/conn/swap.h"
#include "preload/conn/fresh.h"

#include <errno.h>

enum reason dialect_objection(const struct conn *c)
{
    const uint32_t bare_lf = EVIDENCE_BIT(EVIDENCE_BARE_LF), not_http = EVIDENCE_BIT(EVIDENCE_REPLY_NOT_HTTP);
    const uint32_t http10 = EVIDENCE_BIT(EVIDENCE_HTTP10_ONLY), http11 = EVIDENCE_BIT(EVIDENCE_HTTP11_OK);
    const struct request *request = &c->x.request;

    if (!request->one_shot)
        return REASON_none;
    uint32_t known = evidence_which(&c->to, bare_lf | not_http | http10 | http11);
    if (known & bare_lf)
        return REASON_bare_lf;
    if (known & not_http)
        return REASON_bad_response;
    if (request->minor == 1 || (request->idempotent && !(known & http10)))
        return REASON_none;
    if (known & http10)
        return REASON_http10_only;
    if (self.config.unsafe == CONFIG_UNSAFE_REUSE || known & http11)
        return REASON_none;
    return REASON_version_unproven;
}

bool dialect_wants(const struct conn *c)
{
    const struct request *request = &c->x.request;

    return c->state == CONN_FRESH && request->one_shot && request->minor == 0 && request->idempotent &&
           c->request.by_send < BY_SEND_CLIENTS_OWN && !evidence_has(&c->to, EVIDENCE_HTTP11_OK);
}

void dialect_keep(struct conn *c, struct hold *own)
{
    hold_clear(&c->request.bytes);
    c->request.bytes = *own;
    c->request.bytes.start = c->request.bytes.end;
}

/* On a fresh connection, which libc's answers come from: all that follows passes as it is. */
static int send_own(struct conn *c)
{
    int result = -ENOTSUP;

    if (c->copied || c->after.read_shut || c->reply.seen >= SEEN_BYTES || c->fds.count == 0 || !exchange_request_done(&c->x))
        return result;
    result = swap_rehome(c, false);
    if (result < 0)
        return result;
    exchange_release(&c->x, REASON_http10_only);
    conn_forbid_parking(c, REASON_http10_only);
    conn_event(c, EVENT_REASON, REASON_asked_as_1_0);
    hold_clear(&c->reply.bytes);
    c->reply.held = HELD_NOTHING;
    c->reply.peeked_unread = 0;
    conn_saw(c, SEEN_READABLE);
    result = c->request.bytes.data
                 ? outgoing_all(c, c->fds.numbers[0].fd, c->request.bytes.data, c->request.bytes.end)
                 : -ECONNRESET;
    hold_clear(&c->request.bytes);
    if (result == 0 && c->after.write_shut && c->fds.count)
        real.shutdown(c->fds.numbers[0].fd, SHUT_WR);
    return result < 0 ? fresh_late_error(result) : 0;
}

int dialect_judge(struct conn *c, struct slice bytes)
{
    unsigned status = 0;
    enum opening opening = opening_read(bytes.data, bytes.len, c->x.request.head_method, &status);

    if (opening == OPENING_MORE)
        return 0;
    if (opening == OPENING_DOUBTFUL && status == 505) {
        int result = send_own(c);
        if (result == 0)
            evidence_note(&c->to, EVIDENCE_HTTP10_ONLY);
        if (result != -ENOTSUP)
            return result < 0 ? result : -ESTALE;
    }
    hold_clear(&c->request.bytes);
    return 1;
}

int dialect_hung_up(struct conn *c)
{
    if (!dialect_waits(c) || exchange_answered(&c->x) || hold_len(&c->reply.bytes))
        return -ENOTSUP;
    return send_own(c);
}

static bool is_good(unsigned status)
{
    return status >= 200 && status < 500 && status != 400 && status != 405 && status != 408 && status != 421;
}

void dialect_learn(const struct conn *c)
{
    if (exchange_verdict(&c->x) == REASON_http10_only)
        evidence_note(&c->to, EVIDENCE_HTTP10_ONLY); /* its own bytes are answered */
    else if (exchange_verdict(&c->x) == REASON_bad_response)
        evidence_note(&c->to, EVIDENCE_REPLY_NOT_HTTP);
    else if (is_good(c->x.status))
        evidence_note(&c->to, EVIDENCE_HTTP11_OK);
    if (c->x.bare_lf)
        evidence_note(&c->to, EVIDENCE_BARE_LF);
}
