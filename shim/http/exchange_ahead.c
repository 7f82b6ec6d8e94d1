/* SPDX-License-Identifier: ISC */
/* exchange: what comes behind the first head of a one-shot client decides whether the head can be adapted.  A
 * server that is asked to persist, and does not read the body, would carry out a request that is hidden in it: so
 * the head waits until the body is there as a whole, and has been looked at. */
#include "http/exchange.h"

#include "http/exchange_states.h"

static struct exchange_step refuse(struct exchange *x, enum reason reason, size_t len)
{
    exchange_release(x, reason);
    return (struct exchange_step){ EXCHANGE_PASS, len };
}

/* May what belongs to the request go on behind its head for ever?  No body is framed, and the method is none of
 * those that have none. */
static bool open_ended(const struct exchange *x)
{
    return !x->request.framed && !x->request.bodiless;
}

static bool too_long(const struct exchange *x)
{
    const struct framing *body = &x->ahead;

    return body->kind == FRAMING_LENGTH && body->left > EXCHANGE_HEAD_MAX - x->head_len;
}

struct exchange_step exchange_look_ahead(struct exchange *x, const char *bytes, size_t len)
{
    size_t seen = len < EXCHANGE_HEAD_MAX ? len : EXCHANGE_HEAD_MAX, at = x->head_len + x->ahead_len, used;
    enum framing_result result;

    if (x->ahead_len == 0 && (too_long(x) || (x->request.body && x->request.expects && x->request.minor)))
        return refuse(x, too_long(x) ? REASON_long_body : REASON_expects, len);
    result = framing_follow(&x->ahead, bytes + at, seen - at, &used);
    if (result == FRAMING_BAD || x->ahead.lenient)
        return refuse(x, REASON_ambiguous_request, len);
    if (hidden_found(&x->extra, bytes + at, used))
        return refuse(x, REASON_hidden_request, len);
    x->ahead_len += (uint32_t)used;
    if (result == FRAMING_MORE && len >= EXCHANGE_HEAD_MAX)
        return refuse(x, REASON_long_body, len);
    if (result == FRAMING_MORE)
        return (struct exchange_step){ EXCHANGE_HOLD, 0 };
    if (open_ended(x))
        return refuse(x, REASON_open_ended, len);
    x->extra = (struct hidden){ 0 };
    return (struct exchange_step){ EXCHANGE_HEAD, x->head_len };
}

/* Empty lines are skipped by servers (9112 2.2). */
bool exchange_goes_beyond(const struct exchange *x, const char *bytes, size_t len)
{
    size_t end = (size_t)x->head_len + x->ahead_len;

    if (!x->request.one_shot)
        return false;
    while (len > end && (bytes[len - 1] == '\r' || bytes[len - 1] == '\n'))
        len--;
    return len > end;
}
