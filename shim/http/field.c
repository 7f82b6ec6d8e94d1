/* SPDX-License-Identifier: ISC */
#include "http/field.h"

#include "http/head.h"

#include <limits.h>
#include <stddef.h>

#define LETTER(c) ((c) % 32)
#define LENGTH(n) (1u << (n))

const uint32_t field_lengths[32] = {
    [LETTER('a')] = LENGTH(13),
    [LETTER('c')] = LENGTH(6) | LENGTH(10) | LENGTH(14),
    [LETTER('d')] = LENGTH(4),
    [LETTER('e')] = LENGTH(6),
    [LETTER('h')] = LENGTH(4),
    [LETTER('k')] = LENGTH(10),
    [LETTER('p')] = LENGTH(16) | LENGTH(18) | LENGTH(19),
    [LETTER('r')] = LENGTH(5),
    [LETTER('t')] = LENGTH(2) | LENGTH(7) | LENGTH(8) | LENGTH(17),
    [LETTER('u')] = LENGTH(7),
    [LETTER('w')] = LENGTH(16),
};

/* The name can be `lower` only. */
static inline __attribute__((always_inline)) enum field_id known(struct slice name, const char *lower,
                                                                 enum field_id id)
{
    return slice_is_lower(name, lower) ? id : FIELD_OTHER;
}

/* No two names of one length begin alike. */
enum field_id field_identify_known(struct slice name)
{
    char first = name.data[0] | 0x20;

    switch (name.len) {
    case 2:
        return known(name, "te", FIELD_TE);
    case 4:
        return first == 'h' ? known(name, "host", FIELD_HOST) : known(name, "date", FIELD_DATE);
    case 5:
        return known(name, "range", FIELD_RANGE);
    case 6:
        return first == 'c' ? known(name, "cookie", FIELD_COOKIE) : known(name, "expect", FIELD_EXPECT);
    case 7:
        return first == 't' ? known(name, "trailer", FIELD_TRAILER) : known(name, "upgrade", FIELD_UPGRADE);
    case 8:
        return known(name, "trailers", FIELD_TRAILERS);
    case 10:
        return first == 'c' ? known(name, "connection", FIELD_CONNECTION)
                            : known(name, "keep-alive", FIELD_KEEP_ALIVE);
    case 13:
        return known(name, "authorization", FIELD_AUTHORIZATION);
    case 14:
        return known(name, "content-length", FIELD_CONTENT_LENGTH);
    case 16:
        return first == 'p' ? known(name, "proxy-connection", FIELD_PROXY_CONNECTION)
                            : known(name, "www-authenticate", FIELD_WWW_AUTHENTICATE);
    case 17:
        return known(name, "transfer-encoding", FIELD_TRANSFER_ENCODING);
    case 18:
        return known(name, "proxy-authenticate", FIELD_PROXY_AUTHENTICATE);
    case 19:
        return known(name, "proxy-authorization", FIELD_PROXY_AUTHORIZATION);
    }
    return FIELD_OTHER;
}

bool field_element(struct slice *list, struct slice *element)
{
    while (list->len > 0) {
        const char *comma = memchr(list->data, ',', list->len);
        size_t len = comma ? (size_t)(comma - list->data) : list->len;
        size_t step = comma ? len + 1 : len;

        *element = head_trim((struct slice){ list->data, len });
        list->data += step;
        list->len -= step;
        if (element->len > 0)
            return true;
    }
    return false;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ slice_lower_word(word)) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

uint64_t field_hash(struct slice value)
{
    uint64_t hash = 0xcbf29ce484222325u ^ value.len;
    size_t i = 0;

    for (; value.len - i > 8; i += 8)
        hash = mix(hash, slice_word(value.data + i, 8));
    if (value.len >= 8)
        hash = mix(hash, slice_word(value.data + value.len - 8, 8));
    else
        hash = mix(hash, slice_word(value.data, value.len));
    return hash ? hash : 1;
}

static bool parse_length(struct slice s, uint64_t *length)
{
    uint64_t n = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9' || n > (INT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(s.data[i] - '0');
    }
    *length = n;
    return true;
}

/* "5, 5" comes of two fields that somebody joined (9110 8.6). */
void field_add_length(struct field_body *body, struct slice value)
{
    if (!body->has_length && parse_length(value, &body->length)) {
        body->has_length = true; /* as it should be */
        return;
    }
    do {
        const char *comma = memchr(value.data, ',', value.len);
        size_t len = comma ? (size_t)(comma - value.data) : value.len;
        uint64_t length;

        if (!parse_length(head_trim((struct slice){ value.data, len }), &length) ||
            (body->has_length && !body->bad_length && length != body->length))
            body->bad_length = true;
        else
            body->length = length;
        body->repeated |= body->has_length;
        body->has_length = true;
        if (!comma)
            return;
        value = (struct slice){ comma + 1, value.len - len - 1 };
    } while (true);
}

void field_add_coding(struct field_body *body, struct slice value)
{
    struct slice coding;

    body->plain_chunked = !body->has_coding && slice_is_lower(value, "chunked");
    body->has_coding = true;
    body->ends_chunked = body->plain_chunked;
    if (body->plain_chunked)
        return;
    while (field_element(&value, &coding))
        body->ends_chunked = slice_is_lower(coding, "chunked");
}

static bool is_number_end(char c)
{
    return c == ',' || c == ';' || c == ' ' || c == '\t' || c == '"';
}

/* A number, quoted or not; anything else leaves *out alone. */
static void smallest_number(struct slice s, int *out)
{
    size_t i = 0;
    int n = 0;

    if (s.len > 0 && s.data[0] == '"')
        s = (struct slice){ s.data + 1, s.len - 1 };
    s = head_trim(s);
    for (; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++)
        n = n > (INT_MAX - 9) / 10 ? INT_MAX : n * 10 + (s.data[i] - '0');
    if (i == 0 || (i < s.len && !is_number_end(s.data[i])))
        return;
    if (*out < 0 || n < *out)
        *out = n;
}

/* Does the token that ends there begin after `start`, and read so? */
static inline bool ends_in(const char *start, const char *end, struct slice lower)
{
    const char *token = end - lower.len;

    return (size_t)(end - start) >= lower.len &&
           slice_is_lower((struct slice){ token, lower.len }, lower.data) &&
           (token == start || !head_is_token_char(token[-1]));
}

void field_keep_alive(struct slice value, int *timeout, int *max)
{
    const char *equals;

    /* Whatever separates the parameters: a name is the token before the equals sign. */
    while ((equals = memchr(value.data, '=', value.len))) {
        const char *start = value.data, *end = equals;

        while (end > start && head_is_blank(end[-1]))
            end--;
        value.len -= (size_t)(equals + 1 - value.data);
        value.data = equals + 1;
        if (ends_in(start, end, SLICE("timeout")))
            smallest_number(head_trim(value), timeout);
        else if (ends_in(start, end, SLICE("max")))
            smallest_number(head_trim(value), max);
    }
}

bool field_authenticates_connection(struct slice value)
{
    struct slice challenge;

    while (field_element(&value, &challenge)) {
        struct slice scheme = { challenge.data, 0 };

        while (scheme.len < challenge.len && head_is_token_char(scheme.data[scheme.len]))
            scheme.len++;
        if (slice_is_lower(scheme, "ntlm") || slice_is_lower(scheme, "negotiate"))
            return true;
    }
    return false;
}
