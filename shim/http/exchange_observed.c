/* SPDX-License-Identifier: ISC */
/* exchange: an observed conversation: the requests that wait, and the server's side.  Nothing here ever
 * changes a byte.  See exchange_states.h for the states.
 *
 * What a request says about the connection is noted together with its response, not when it is sent: so
 * the verdict does not depend on how far a client that pipelines is ahead. */
#include "http/exchange.h"

#include "http/exchange_states.h"
#include "http/response.h"

/* What a response has to be read with. */
enum asked {
    ASKED_HEAD = 1,  /* no body */
    ASKED_OLD = 2,   /* HTTP/1.0: persists only if the server says so, too */
    ASKED_CLOSE = 4, /* the last request, says the client */
    ASKED_AUTH = 8,  /* credentials that stay with the connection */
};

bool exchange_observed_request(struct exchange *x)
{
    const struct request *request = &x->request;
    unsigned flags = 0;

    if (x->asked.count == EXCHANGE_PIPELINE_MAX)
        return false;
    flags |= request->head_method ? ASKED_HEAD : 0;
    flags |= request->minor == 0 ? ASKED_OLD : 0;
    flags |= request->one_shot ? ASKED_CLOSE : 0;
    flags |= request->connection_auth ? ASKED_AUTH : 0;
    x->asked.flags[(x->asked.first + x->asked.count) % EXCHANGE_PIPELINE_MAX] = (uint8_t)flags;
    x->asked.count++;
    x->requests++;
    x->unsafe |= !request->idempotent;
    x->client_state = (uint8_t)exchange_after_head(x);
    return true;
}

void exchange_observe(struct exchange *x)
{
    x->kind = EXCHANGE_OBSERVED;
    exchange_observed_request(x);
}

static void lose_track(struct exchange *x, enum reason reason)
{
    exchange_note(x, reason);
    x->server_state = SERVER_RAW;
}

/* The oldest request has its response. */
static void end_exchange(struct exchange *x)
{
    if (x->asked.count == 1 && x->client_state == CLIENT_BODY)
        exchange_note(x, REASON_request_unfinished);
    x->asked.first = (x->asked.first + 1) % EXCHANGE_PIPELINE_MAX;
    x->asked.count--;
    x->server_state = SERVER_HEAD;
}

/* Returns how many bytes were taken. */
static size_t follow_body(struct exchange *x, const char *bytes, size_t len)
{
    size_t used;
    enum framing_result result = framing_follow(&x->response_body, bytes, len, &used);

    if (x->response_body.lenient)
        exchange_note(x, REASON_ambiguous_response);
    if (result == FRAMING_BAD)
        lose_track(x, REASON_ambiguous_response);
    else if (result == FRAMING_DONE)
        end_exchange(x);
    return used;
}

/* 9112 9.3 */
static void note_persistence(struct exchange *x, const struct response *r, enum framing_kind kind,
                             unsigned asked)
{
    if (asked & ASKED_AUTH)
        exchange_note(x, REASON_connection_auth);
    if (asked & ASKED_CLOSE)
        exchange_note(x, REASON_client_closes);
    exchange_server_persistence(x, r, kind);
    if (asked & ASKED_OLD && !r->options.keep_alive)
        exchange_note(x, REASON_server_http10);
}

static void begin_body(struct exchange *x, const struct response *r)
{
    unsigned asked = x->asked.flags[x->asked.first];
    struct response_framing framing = response_frame(r, asked & ASKED_HEAD);

    if (framing.doubtful)
        exchange_note(x, REASON_ambiguous_response);
    note_persistence(x, r, framing.kind, asked);
    framing_start(&x->response_body, framing.kind, r->body.length);
    x->server_state = framing.kind == FRAMING_CLOSE ? SERVER_RAW : SERVER_BODY;
}

/* Returns how many bytes were taken, or 0 if the head is not whole. */
static size_t follow_head(struct exchange *x, const char *bytes, size_t len)
{
    struct response r;
    enum head_result result;

    if (x->asked.count == 0) {
        lose_track(x, REASON_bytes_left);
        return len;
    }
    result = exchange_server_head(&x->server_scanned, HOP_RESPONSE_11, bytes, len, &r);
    if (result == HEAD_MORE)
        return 0;
    if (result == HEAD_BAD) {
        lose_track(x, r.status.foreign ? REASON_bad_response : REASON_ambiguous_response);
        return len;
    }
    if (exchange_server_interim(&r)) {
        if (response_frame(&r, false).doubtful)
            exchange_note(x, REASON_ambiguous_response);
        return r.len;
    }
    if (r.status.code == 101) {
        lose_track(x, REASON_switching);
        x->client_state = CLIENT_RAW;
        return len;
    }
    begin_body(x, &r);
    if (x->server_state == SERVER_BODY)
        r.len += follow_body(x, bytes + r.len, len - r.len); /* it may have none */
    return r.len;
}

size_t exchange_follow(struct exchange *x, const char *bytes, size_t len)
{
    size_t used = 0;

    if (x->kind != EXCHANGE_OBSERVED)
        return len;
    x->answered |= len > 0;
    while (used < len && x->server_state != SERVER_RAW) {
        size_t taken = x->server_state == SERVER_HEAD ? follow_head(x, bytes + used, len - used)
                                                      : follow_body(x, bytes + used, len - used);

        if (taken == 0)
            return used;
        used += taken;
    }
    return len;
}

bool exchange_idle(const struct exchange *x)
{
    return x->kind == EXCHANGE_OBSERVED && x->asked.count == 0 && x->client_state == CLIENT_DONE &&
           x->server_state == SERVER_HEAD;
}

unsigned exchange_outstanding(const struct exchange *x)
{
    return x->kind == EXCHANGE_OBSERVED ? x->asked.count : 0;
}
