/* SPDX-License-Identifier: ISC */
#include "http/opening.h"

#include "http/exchange.h"
#include "http/response.h"

#include <string.h>

/* `HTTP/1.1 200`: what decides most often. */
enum { STATUS_LEN = 12 };

enum doubt { NONE, ANYWAY, IF_IT_CLOSES };

static enum doubt doubt_of(unsigned status)
{
    switch (status) {
    case 408: /* 9110 15.5.9: the connection was idle for too long, or a request is not whole */
    case 421: /* 9110 15.5.20: not on this connection */
    case 505: /* 9110 15.6.6: a version that is the rest of something */
        return ANYWAY;
    case 400:
    case 405:
    case 501:
        return IF_IT_CLOSES;
    default:
        return NONE;
    }
}

unsigned opening_status(const char *bytes, size_t len)
{
    if (len < STATUS_LEN || bytes[8] != ' ')
        return 0;
    unsigned hundreds = (unsigned)(bytes[9] - '0'), tens = (unsigned)(bytes[10] - '0'), ones = (unsigned)(bytes[11] - '0');
    return hundreds <= 9 && tens <= 9 && ones <= 9 ? 100 * hundreds + 10 * tens + ones : 0;
}

/* 9112 9.3: is the connection over after this answer, whatever was asked? */
static bool closes(const struct response *r, bool head_method)
{
    return r->options.close || (r->status.minor == 0 && !r->options.keep_alive) ||
           response_frame(r, head_method).kind == FRAMING_CLOSE;
}

/* What the whole head says, where the status is in doubt. */
static enum opening read_whole(const char *bytes, size_t len, bool head_method, enum doubt doubt, unsigned *status)
{
    struct response r;

    switch (response_parse(bytes, len < EXCHANGE_HEAD_MAX ? len : EXCHANGE_HEAD_MAX, HOP_RESPONSE_11, &r)) {
    case HEAD_MORE:
        return len < EXCHANGE_HEAD_MAX ? OPENING_MORE : OPENING_ANSWER;
    case HEAD_BAD:
        return OPENING_ANSWER;
    case HEAD_DONE:
        break;
    }
    *status = r.status.code;
    return doubt == ANYWAY || closes(&r, head_method) ? OPENING_DOUBTFUL : OPENING_ANSWER;
}

enum opening opening_read(const char *bytes, size_t len, bool head_method, unsigned *status)
{
    static const char begin[] = "HTTP/1.";
    size_t seen = sizeof begin - 1;

    if (len < STATUS_LEN)
        return memcmp(bytes, begin, len < seen ? len : seen) == 0 ? OPENING_MORE : OPENING_FOREIGN;
    if (memcmp(bytes, begin, sizeof begin - 1) != 0)
        return OPENING_FOREIGN;
    if (bytes[9] != '4' && bytes[9] != '5') /* no other status is in doubt */
        return OPENING_ANSWER;
    enum doubt doubt = doubt_of(opening_status(bytes, len));
    return doubt == NONE ? OPENING_ANSWER : read_whole(bytes, len, head_method, doubt, status);
}
