#include "http/field.h"

#include "http/head.h"

#include <limits.h>
#include <stddef.h>

struct known {
    char first;
    uint8_t id;
    const char *name;
};

#define LONGEST 19

/* By length; no two of one length begin alike. */
static const struct known known_fields[LONGEST + 1][2] = {
    [2] = { { 't', FIELD_TE, "te" } },
    [4] = { { 'h', FIELD_HOST, "host" } },
    [6] = { { 'c', FIELD_COOKIE, "cookie" }, { 'e', FIELD_EXPECT, "expect" } },
    [7] = { { 't', FIELD_TRAILER, "trailer" }, { 'u', FIELD_UPGRADE, "upgrade" } },
    [8] = { { 't', FIELD_TRAILERS, "trailers" } },
    [10] = { { 'c', FIELD_CONNECTION, "connection" }, { 'k', FIELD_KEEP_ALIVE, "keep-alive" } },
    [13] = { { 'a', FIELD_AUTHORIZATION, "authorization" } },
    [14] = { { 'c', FIELD_CONTENT_LENGTH, "content-length" } },
    [16] = { { 'p', FIELD_PROXY_CONNECTION, "proxy-connection" },
             { 'w', FIELD_WWW_AUTHENTICATE, "www-authenticate" } },
    [17] = { { 't', FIELD_TRANSFER_ENCODING, "transfer-encoding" } },
    [18] = { { 'p', FIELD_PROXY_AUTHENTICATE, "proxy-authenticate" } },
    [19] = { { 'p', FIELD_PROXY_AUTHORIZATION, "proxy-authorization" } },
};

/* Of a token and a lower-case name of the same length: no token character but the right one becomes a
 * letter or '-' by the bit that makes lower case. */
static inline bool same_name(const char *token, const char *lower, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((token[i] | 0x20) != lower[i])
            return false;
    return true;
}

enum field_id field_identify(struct slice name)
{
    const struct known *k;
    char first;

    if (name.len > LONGEST || name.len == 0)
        return FIELD_OTHER;
    k = known_fields[name.len];
    first = name.data[0] | 0x20;
    if (k[0].first != first) {
        if (k[1].first != first)
            return FIELD_OTHER;
        k++;
    }
    return same_name(name.data, k->name, name.len) ? k->id : FIELD_OTHER;
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

bool field_value_is(struct slice value, const char *lower)
{
    size_t i;

    for (i = 0; i < value.len; i++)
        if (lower[i] == '\0' || ascii_lower(value.data[i]) != lower[i])
            return false;
    return lower[i] == '\0';
}

/* FNV-1a */
uint64_t field_hash(struct slice value)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < value.len; i++)
        hash = (hash ^ (unsigned char)ascii_lower(value.data[i])) * 0x100000001b3u;
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

    body->plain_chunked = !body->has_coding && field_value_is(value, "chunked");
    body->has_coding = true;
    body->ends_chunked = false;
    while (field_element(&value, &coding))
        body->ends_chunked = field_value_is(coding, "chunked");
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

void field_keep_alive(struct slice value, int *timeout, int *max)
{
    const char *equals;

    /* Whatever separates the parameters: a name is the token before the equals sign. */
    while ((equals = memchr(value.data, '=', value.len))) {
        struct slice name = head_trim((struct slice){ value.data, (size_t)(equals - value.data) });
        size_t start = name.len;

        while (start > 0 && head_is_token_char(name.data[start - 1]))
            start--;
        name = (struct slice){ name.data + start, name.len - start };
        value.len -= (size_t)(equals + 1 - value.data);
        value.data = equals + 1;
        if (field_value_is(name, "timeout"))
            smallest_number(head_trim(value), timeout);
        else if (field_value_is(name, "max"))
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
        if (field_value_is(scheme, "ntlm") || field_value_is(scheme, "negotiate"))
            return true;
    }
    return false;
}
