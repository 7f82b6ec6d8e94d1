/* SPDX-License-Identifier: ISC */
/* exchange: the client's side, and what is asked about both.  See exchange_states.h for the states. */
#include "http/exchange.h"

#include "http/exchange_states.h"

_Static_assert(sizeof(struct exchange) <= 256, "copied for every look ahead");

void exchange_init(struct exchange *x)
{
    *x = (struct exchange){ .kind = EXCHANGE_UNDECIDED, .keep_timeout = -1, .keep_max = -1 };
}

void exchange_release(struct exchange *x, enum reason reason)
{
    x->kind = EXCHANGE_OPAQUE;
    x->reason = reason;
    x->client_state = CLIENT_RAW;
    x->server_state = SERVER_RAW;
    x->ask_close = false;
}

static struct exchange_step pass(size_t take)
{
    return (struct exchange_step){ EXCHANGE_PASS, take };
}

static struct exchange_step release(struct exchange *x, enum reason reason, size_t len)
{
    exchange_release(x, reason);
    return pass(len);
}

static struct exchange_step pass_keep(void)
{
    return (struct exchange_step){ EXCHANGE_PASS_KEEP, 0 };
}

static struct exchange_step follow_line(struct exchange *x, const char *bytes, size_t len)
{
    size_t seen = len < EXCHANGE_HEAD_MAX ? len : EXCHANGE_HEAD_MAX;
    enum reason reason;

    x->client_state = (uint8_t)request_line_follow(x->client_state, bytes, seen, &x->scanned, &reason);
    if (reason != REASON_none)
        return release(x, reason, len);
    if (x->client_state == CLIENT_FIELDS) {
        x->version = x->scanned;
        x->scanned = 0;
    } else if (len >= EXCHANGE_HEAD_MAX) {
        return release(x, REASON_head_too_long, len);
    }
    return pass_keep();
}

/* A whole head: what it says is remembered, so that exchange_adapt need not read it again. */
static struct exchange_step head_read(struct exchange *x, const struct request_head *head, const char *bytes,
                                      size_t len)
{
    const struct field_body *body = &head->body;
    enum reason reason = request_refusal(head);

    if (reason != REASON_none)
        return release(x, reason, len);
    x->request = head->facts;
    x->request.framed = body->has_coding || body->has_length;
    x->request.body = body->has_coding || body->length > 0;
    x->cut.from = head->cut.from;
    x->cut.to = head->cut.to;
    x->cut.all = head->cut.all;
    x->scanned = 0;
    framing_start(&x->request_body,
                  body->has_coding   ? FRAMING_CHUNKED
                  : body->has_length ? FRAMING_LENGTH
                                     : FRAMING_NONE,
                  body->length);
    x->head_len = (uint32_t)head->len;
    if (x->kind == EXCHANGE_OBSERVED || !x->request.one_shot || (!x->request.framed && x->request.bodiless))
        return (struct exchange_step){ EXCHANGE_HEAD, head->len };
    x->client_state = CLIENT_AHEAD;
    x->ahead = x->request_body;
    return exchange_look_ahead(x, bytes, len);
}

static struct exchange_step follow_fields(struct exchange *x, const char *bytes, size_t len)
{
    size_t seen = len < EXCHANGE_HEAD_MAX ? len : EXCHANGE_HEAD_MAX;
    enum head_result result = HEAD_MORE;
    struct request_head head;

    if (x->scanned == 0 || x->scanned > seen || head_recheck(bytes, seen, x->scanned, true)) {
        result = request_parse(bytes, seen, x->version, &head);
        if (result == HEAD_DONE)
            return head_read(x, &head, bytes, len);
        x->scanned = head.line_len ? (uint32_t)seen : 0;
    } else {
        x->scanned = (uint32_t)seen;
    }
    if (result == HEAD_BAD)
        return release(x, REASON_ambiguous_request, len);
    if (len >= EXCHANGE_HEAD_MAX)
        return release(x, REASON_head_too_long, len);
    return (struct exchange_step){ EXCHANGE_HOLD, 0 };
}

static struct exchange_step follow_head(struct exchange *x, const char *bytes, size_t len)
{
    if (x->client_state < CLIENT_FIELDS) {
        struct exchange_step step = follow_line(x, bytes, len);

        if (x->client_state != CLIENT_FIELDS)
            return step;
    }
    return follow_fields(x, bytes, len);
}

/* A head that is not the first of an observed client: nothing is held back, nobody has to decide. */
static struct exchange_step next_head(struct exchange *x, const char *bytes, size_t len)
{
    struct exchange_step step = follow_head(x, bytes, len);

    if (step.action == EXCHANGE_HOLD)
        return pass_keep();
    if (step.action != EXCHANGE_HEAD)
        return step;
    if (!exchange_observed_request(x))
        return release(x, REASON_client_persists, len);
    return pass(step.take);
}

/* More than the request, of a one-shot client.  A server that closes after its answer never looks at it
 * (9112 9.6); one that was asked to persist would take it for the next request.  One that does neither reads it:
 * casters and other streams.  Which it is, its answer tells.  Until then only what cannot be taken for a request
 * goes out. */
static struct exchange_step pass_extra(struct exchange *x, const char *bytes, size_t len)
{
    struct hidden before = x->extra;
    size_t take = len, i = 0;

    if (x->listens == EXCHANGE_DEAF)
        return (struct exchange_step){ EXCHANGE_DROP, len };
    if (x->listens == EXCHANGE_LISTENS_PERHAPS)
        take = hidden_before(&x->extra, bytes, len);
    while (x->client_state != CLIENT_EXTRA && i < take && (bytes[i] == '\r' || bytes[i] == '\n'))
        i++;
    if (i == take) { /* empty lines are nothing yet */
        x->extra = before;
        return (struct exchange_step){ EXCHANGE_HOLD, 0 };
    }
    x->client_state = CLIENT_EXTRA;
    exchange_note(x, REASON_bytes_left);
    return pass(take);
}

/* Empty lines, which servers skip (9112 2.2): who has to wait for the answer's head waits with them. */
static struct exchange_step stray_lines(struct exchange *x, size_t stray, size_t len)
{
    if (x->listens == EXCHANGE_LISTENS)
        return pass(stray);
    if (x->listens == EXCHANGE_LISTENS_PERHAPS && stray == len)
        return (struct exchange_step){ EXCHANGE_HOLD, 0 };
    return (struct exchange_step){ EXCHANGE_DROP, stray };
}

/* What follows the request: one-shot clients end it with a line feed too many, at most; others go on
 * with the next one, and servers skip an empty line before it (9112 2.2). */
static struct exchange_step after_request(struct exchange *x, const char *bytes, size_t len)
{
    bool observed = x->kind == EXCHANGE_OBSERVED;
    size_t stray = 0;

    while (stray < len && (bytes[stray] == '\r' || bytes[stray] == '\n'))
        stray++;
    if (stray > 0 && !observed && (stray == len || x->listens != EXCHANGE_LISTENS_PERHAPS))
        return stray_lines(x, stray, len);
    if (stray > 0 && observed) {
        x->client_state = CLIENT_STRAY;
        return pass(stray);
    }
    if (observed) {
        x->client_state = CLIENT_METHOD;
        x->scanned = 0;
        return next_head(x, bytes, len);
    }
    return pass_extra(x, bytes, len);
}

static struct exchange_step follow_body(struct exchange *x, const char *bytes, size_t len)
{
    size_t used;
    enum framing_result result = framing_follow(&x->request_body, bytes, len, &used);
    bool doubtful = x->request_body.lenient || result == FRAMING_BAD;

    if (doubtful && x->kind == EXCHANGE_OBSERVED) /* where does the next head begin? */
        return release(x, REASON_ambiguous_request, len);
    if (doubtful)
        exchange_note(x, REASON_ambiguous_request);
    if (result == FRAMING_BAD) {
        x->client_state = CLIENT_RAW;
        return pass(len);
    }
    if (result == FRAMING_DONE)
        x->client_state = CLIENT_DONE;
    return pass(used);
}

struct exchange_step exchange_client(struct exchange *x, const char *bytes, size_t len)
{
    switch (x->client_state) {
    case CLIENT_METHOD:
    case CLIENT_TARGET:
    case CLIENT_VERSION:
    case CLIENT_FIELDS:
        return x->kind == EXCHANGE_OBSERVED ? next_head(x, bytes, len) : follow_head(x, bytes, len);
    case CLIENT_AHEAD:
        return exchange_look_ahead(x, bytes, len);
    case CLIENT_BODY:
        return follow_body(x, bytes, len);
    case CLIENT_DONE:
    case CLIENT_STRAY:
        return after_request(x, bytes, len);
    case CLIENT_EXTRA:
        return pass_extra(x, bytes, len);
    }
    return pass(len);
}

size_t exchange_adapt(struct exchange *x, const char *head, size_t take, struct slice authority, char *out)
{
    struct hop_cut cut = { x->cut.from, x->cut.to, x->cut.all };

    x->kind = EXCHANGE_ADAPTED;
    x->requests = 1;
    x->client_state = (uint8_t)exchange_after_head(x);
    if (x->request.connection_auth)
        exchange_note(x, REASON_connection_auth);
    size_t len = request_rewrite((struct slice){ head, take }, &x->request, &cut, authority, out);
    return x->closing ? request_ask_close(out, len) : len;
}

bool exchange_answered(const struct exchange *x)
{
    return x->answered;
}

void exchange_unanswered(struct exchange *x)
{
    x->answered = false;
    x->listens = EXCHANGE_LISTENS_PERHAPS;
    x->server_scanned = 0;
    x->interim = 0;
}

bool exchange_idempotent(const struct exchange *x)
{
    return x->request.idempotent && !x->unsafe;
}

uint64_t exchange_request_left(const struct exchange *x)
{
    switch (x->request_body.kind) {
    case FRAMING_NONE:
        return 0;
    case FRAMING_LENGTH:
        return x->request_body.left;
    case FRAMING_CHUNKED:
        return x->client_state == CLIENT_AHEAD ? x->ahead_len : UINT64_MAX;
    default:
        return UINT64_MAX;
    }
}

enum exchange_listens exchange_listens(const struct exchange *x)
{
    return (enum exchange_listens)x->listens;
}

void exchange_learn_listens(struct exchange *x, enum exchange_listens listens)
{
    x->listens = (uint8_t)listens;
}

size_t exchange_fixed(const struct exchange *x, size_t len)
{
    size_t line = x->version + sizeof("HTTP/1.") - 1;

    return x->client_state < CLIENT_FIELDS || line > len ? len : line;
}

bool exchange_is_http(const struct exchange *x, const char *bytes, size_t len)
{
    static const struct slice methods[] = { SLICE("GET "), SLICE("HEAD "), SLICE("POST "), SLICE("PUT "),
                                            SLICE("DELETE "), SLICE("OPTIONS ") };

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (len >= methods[i].len && memcmp(bytes, methods[i].data, methods[i].len) == 0)
            return true;
    return x->client_state >= CLIENT_FIELDS;
}

bool exchange_awaits_body(const struct exchange *x)
{
    return x->kind == EXCHANGE_UNDECIDED && x->client_state == CLIENT_AHEAD;
}

bool exchange_may_follow(const struct exchange *x, const char *bytes, size_t len)
{
    struct hidden behind = x->extra;

    return x->listens != EXCHANGE_DEAF && !hidden_found(&behind, bytes, len);
}

bool exchange_request_done(const struct exchange *x)
{
    return x->client_state == CLIENT_DONE || x->client_state == CLIENT_STRAY ||
           x->client_state == CLIENT_EXTRA;
}

bool exchange_asks_close(struct exchange *x)
{
    if (!x->ask_close || !exchange_request_done(x))
        return false;
    x->ask_close = false;
    return true;
}

bool exchange_over_perhaps(const struct exchange *x)
{
    return x->over_perhaps && exchange_request_done(x);
}

bool exchange_awaits_end(struct exchange *x)
{
    bool awaits = x->end_when_awaited && exchange_request_done(x);

    x->end_when_awaited = x->end_when_awaited && !awaits;
    return awaits;
}

enum reason exchange_verdict(const struct exchange *x)
{
    return x->reason;
}
