/* SPDX-License-Identifier: ISC */
/* exchange: the server's side.  See exchange_states.h for the states. */
#include "http/exchange.h"

#include "http/exchange_states.h"
#include "http/response.h"

/* 1xx responses that a client of HTTP/1.0 never hears of.  More are no conversation. */
#define INTERIM_MAX 64u

/* Shorter than this, a status line may still turn out to be something else at any byte. */
#define STATUS_PREFIX 8u

static bool decodes(const struct exchange *x)
{
    return x->request.minor == 0;
}

static enum hop_side side_of(const struct exchange *x)
{
    return x->request.minor ? HOP_RESPONSE_11 : HOP_RESPONSE_10;
}

static void go_raw(struct exchange *x, enum reason reason, bool ask_close)
{
    exchange_note(x, reason);
    if (x->listens == EXCHANGE_LISTENS_PERHAPS)
        x->listens = EXCHANGE_LISTENS;
    x->server_state = SERVER_RAW;
    x->ask_close |= ask_close;
}

enum head_result exchange_server_head(uint32_t *scanned, enum hop_side side, const char *bytes, size_t len,
                                      struct response *r)
{
    size_t seen = len < EXCHANGE_HEAD_MAX ? len : EXCHANGE_HEAD_MAX;
    enum head_result result = HEAD_MORE;

    r->status.foreign = false;
    if (*scanned < STATUS_PREFIX || *scanned > seen || head_recheck(bytes, seen, *scanned, false))
        result = response_parse(bytes, seen, side, r);
    *scanned = result == HEAD_MORE ? (uint32_t)seen : 0;
    return result == HEAD_MORE && len >= EXCHANGE_HEAD_MAX ? HEAD_BAD : result;
}

/* The order is that in which people want to hear of it. */
void exchange_server_persistence(struct exchange *x, const struct response *r, enum framing_kind kind)
{
    x->keep_timeout = r->timeout;
    x->keep_max = r->max;
    x->promised = r->options.keep_alive || r->timeout >= 0 || r->max >= 0;
    x->said_close = r->options.close;
    x->http11 = r->status.minor == 1;
    x->dated = r->dated;
    x->status = (uint16_t)r->status.code;
    if (r->challenges)
        exchange_note(x, REASON_connection_auth);
    if (r->options.close)
        exchange_note(x, REASON_server_closes);
    if (r->status.minor == 0 && !r->options.keep_alive)
        exchange_note(x, REASON_server_http10);
    if (kind == FRAMING_CLOSE)
        exchange_note(x, REASON_no_length);
    if ((r->timeout >= 0 && r->timeout <= 1) || r->max == 0)
        exchange_note(x, REASON_keepalive_spent);
    if (x->closing)
        exchange_note(x, REASON_close_test);
}

/* A whole final head: sets what follows it; true: it is to be edited. */
static bool begin_body(struct exchange *x, const struct response *r)
{
    struct response_framing framing;
    bool closes;

    if (r->status.code == 101) {
        go_raw(x, REASON_switching, false);
        return false;
    }
    framing = response_frame(r, x->request.head_method);
    if (framing.doubtful)
        exchange_note(x, REASON_ambiguous_response);
    x->unsure |= framing.unsure;
    exchange_server_persistence(x, r, framing.kind);
    closes = framing.kind == FRAMING_CLOSE || r->options.close || (r->status.minor == 0 && !r->options.keep_alive);
    x->bare_lf = r->lenient;
    /* What is delivered as it is says nothing of an end to a client of HTTP/1.1: it may go on. */
    x->listens = closes || (r->lenient && !decodes(x)) ? EXCHANGE_LISTENS : EXCHANGE_DEAF;
    x->ask_close |= framing.forced;
    framing_start(&x->response_body, framing.kind, r->body.length);
    x->server_state = SERVER_BODY;
    if (framing.kind == FRAMING_CHUNKED && decodes(x) && !framing.untouched)
        x->server_state = SERVER_DECODE;
    return !framing.untouched;
}

/* The response is complete after `used` of len bytes. */
static void end_body(struct exchange *x, size_t used, size_t len, struct exchange_reply *reply)
{
    bool decoded = x->server_state == SERVER_DECODE;

    if (x->unsure && !decoded) { /* what else is sent is the client's, up to the server's own end */
        x->end_when_awaited = x->bare_lf && !decodes(x);
        x->over_perhaps = !x->end_when_awaited && used == len;
        go_raw(x, REASON_ambiguous_response, !x->end_when_awaited);
        return;
    }
    if (!exchange_request_done(x))
        exchange_note(x, REASON_request_unfinished);
    if (used < len)
        exchange_note(x, REASON_bytes_left);
    if (!decoded)
        reply->out = len;
    reply->flow = EXCHANGE_END;
    x->server_state = decoded ? SERVER_DONE_DECODED : SERVER_DONE;
}

static void break_off(struct exchange *x, struct exchange_reply *reply)
{
    if (x->server_state == SERVER_DECODE) {
        exchange_note(x, REASON_ambiguous_response);
        x->server_state = SERVER_BROKEN;
        reply->flow = EXCHANGE_BROKEN;
    } else {
        go_raw(x, REASON_ambiguous_response, true);
    }
}

static struct exchange_reply follow_body(struct exchange *x, char *bytes, size_t len)
{
    struct exchange_reply reply = { EXCHANGE_DATA, len, len };
    struct framing *body = &x->response_body;
    enum framing_result result;
    size_t used;

    if (x->server_state == SERVER_DECODE)
        result = framing_decode(body, bytes, len, &used, &reply.out);
    else
        result = framing_follow(body, bytes, len, &used);
    if (body->lenient) {
        exchange_note(x, REASON_ambiguous_response);
        x->unsure = true;
    }
    if (result == FRAMING_DONE)
        end_body(x, used, len, &reply);
    else if (result == FRAMING_BAD)
        break_off(x, &reply);
    return reply;
}

/* A final head and what came with it.  The body first: the head's end then moves only what is left. */
static struct exchange_reply final_head(struct exchange *x, char *bytes, size_t len, struct response *r)
{
    bool edit = begin_body(x, r);
    struct exchange_reply reply = { EXCHANGE_DATA, len, len };

    if (x->server_state != SERVER_RAW) {
        reply = follow_body(x, bytes + r->len, len - r->len);
        reply.used = len;
        r->close_unsaid = x->close_unsaid && !x->said_close;
        reply.out += edit ? response_edit(bytes, reply.out, r) : r->len;
    }
    return reply;
}

/* Not HTTP/1.x: the server was asked to persist, and may wait.  But `ICY 200 OK` is a stream of a server
 * that might take a half-close for the end of its listener. */
static struct exchange_reply raw_head(struct exchange *x, const char *bytes, const struct response *r,
                                      size_t len)
{
    if (r->status.foreign)
        go_raw(x, REASON_bad_response, *bytes != 'I');
    else
        go_raw(x, REASON_ambiguous_response, true);
    return (struct exchange_reply){ EXCHANGE_DATA, len, len };
}

/* True: this interim response is dealt with, go on after it. */
static bool skip_interim(struct exchange *x, const struct response *r)
{
    struct response_framing framing = response_frame(r, false);

    if (framing.doubtful)
        exchange_note(x, REASON_ambiguous_response);
    x->unsure |= framing.unsure;
    return !decodes(x) || x->interim++ < INTERIM_MAX;
}

static struct exchange_reply follow_head(struct exchange *x, char *bytes, size_t len)
{
    size_t in = 0, out = 0;
    struct exchange_reply reply;
    struct response r;

    for (;;) {
        enum head_result result;

        if (in == len)
            return (struct exchange_reply){ EXCHANGE_DATA, len, out };
        result = exchange_server_head(&x->server_scanned, side_of(x), bytes + in, len - in, &r);
        if (result == HEAD_MORE)
            return (struct exchange_reply){ EXCHANGE_MORE, in, out };
        if (result == HEAD_BAD || (exchange_server_interim(&r) && !skip_interim(x, &r))) {
            reply = raw_head(x, bytes + in, &r, len - in);
            break;
        }
        if (!exchange_server_interim(&r)) {
            reply = final_head(x, bytes + in, len - in, &r);
            break;
        }
        in += r.len;
        out += decodes(x) ? 0 : r.len;
    }
    if (in != out)
        memmove(bytes + out, bytes + in, reply.out);
    return (struct exchange_reply){ reply.flow, len, out + reply.out };
}

static struct exchange_reply after_end(struct exchange *x, size_t len)
{
    if (len > 0)
        exchange_note(x, REASON_bytes_left);
    return (struct exchange_reply){ EXCHANGE_END, len, x->server_state == SERVER_DONE ? len : 0 };
}

struct exchange_reply exchange_server(struct exchange *x, char *bytes, size_t len)
{
    x->answered |= len > 0;
    if (x->kind == EXCHANGE_UNDECIDED && len > 0)
        exchange_release(x, REASON_not_http); /* HTTP servers do not speak first */
    switch (x->server_state) {
    case SERVER_HEAD:
        return follow_head(x, bytes, len);
    case SERVER_BODY:
    case SERVER_DECODE:
        return follow_body(x, bytes, len);
    case SERVER_DONE:
    case SERVER_DONE_DECODED:
        return after_end(x, len);
    case SERVER_BROKEN:
        return (struct exchange_reply){ EXCHANGE_BROKEN, len, 0 };
    }
    return (struct exchange_reply){ EXCHANGE_DATA, len, len };
}

bool exchange_passes_unseen(const struct exchange *x)
{
    return x->kind == EXCHANGE_ADAPTED &&
           (x->server_state == SERVER_RAW || (x->server_state == SERVER_BODY && x->response_body.kind != FRAMING_CHUNKED));
}

bool exchange_in_head(const struct exchange *x)
{
    return x->kind == EXCHANGE_ADAPTED && x->server_state == SERVER_HEAD;
}

size_t exchange_head_end(const struct exchange *x, const char *bytes, size_t len)
{
    unsigned interim = x->interim;
    size_t at = 0, shown = 0;

    while (exchange_in_head(x) && at < len) {
        uint32_t scanned = 0;
        struct response r;
        enum head_result result = exchange_server_head(&scanned, side_of(x), bytes + at, len - at, &r);

        if (result == HEAD_MORE)
            return shown;
        if (result == HEAD_BAD)
            break;
        at += r.len;
        if (!exchange_server_interim(&r) || (decodes(x) && interim++ >= INTERIM_MAX))
            return at;
        if (!decodes(x))
            shown = at;
    }
    return at == len && exchange_in_head(x) ? shown : len;
}

bool exchange_cut_short(const struct exchange *x)
{
    return x->server_state == SERVER_DECODE || x->server_state == SERVER_BROKEN;
}

bool exchange_between_chunks(const struct exchange *x)
{
    return x->server_state == SERVER_DECODE && x->response_body.left == 0;
}

bool exchange_decoded(const struct exchange *x)
{
    return x->server_state == SERVER_DONE_DECODED;
}

uint64_t exchange_body_left(const struct exchange *x)
{
    if (x->server_state == SERVER_DONE || x->server_state == SERVER_DONE_DECODED)
        return 0;
    if (x->kind == EXCHANGE_OBSERVED && x->server_state == SERVER_HEAD && exchange_outstanding(x) == 0)
        return 0;
    if (x->server_state == SERVER_BODY && x->response_body.kind == FRAMING_LENGTH)
        return x->response_body.left;
    return UINT64_MAX;
}
