/* SPDX-License-Identifier: ISC */
#include "http/hidden.h"

#include "http/head.h"

#include <string.h>

enum {
    LINE,  /* nothing but blanks since its beginning */
    TOKEN, /* ... and then a part of a token */
    REST,  /* it does not begin like a request */
    FOUND,
};

static const char version[] = " HTTP/";

static bool is_blank(char c)
{
    unsigned char u = (unsigned char)c;

    return u == ' ' || u == '\t' || u == '\v' || u == '\f' || (u >= 0x1c && u <= 0x1f) || u == 0x85 || u == 0xa0;
}

static uint8_t match_version(uint8_t matched, char c)
{
    if (is_blank(c))
        return 1;
    /* cppcheck-suppress arrayIndexOutOfBoundsCond */
    return matched > 0 && c == version[matched] ? matched + 1 : 0;
}

static void step(struct hidden *h, char c)
{
    h->matched = match_version(h->matched, c);
    if (h->matched == sizeof version - 1 || (h->state == TOKEN && is_blank(c)))
        h->state = FOUND;
    else if (c == '\r' || c == '\n')
        h->state = LINE;
    else if (h->state == TOKEN || h->state == LINE)
        h->state = head_is_token_char(c) ? TOKEN : h->state == LINE && is_blank(c) ? LINE : REST;
}

bool hidden_found(struct hidden *h, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && h->state != FOUND; i++)
        step(h, bytes[i]);
    return h->state == FOUND;
}

size_t hidden_before(struct hidden *h, const char *bytes, size_t len)
{
    struct hidden at = *h;
    size_t before = 0;

    for (size_t i = 0; i < len && at.state != FOUND; i++) {
        step(&at, bytes[i]);
        if (at.state == LINE || at.state == REST) { /* it may end, or go on, in any way */
            before = i + 1;
            *h = at;
        }
    }
    return before;
}
