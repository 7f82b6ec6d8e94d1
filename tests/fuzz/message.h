/* SPDX-License-Identifier: ISC */
/* message: a second opinion on whole messages, made of naive.h: which request heads may be
 * touched, how a response's body ends, and what the chunks of a body hold. */
#ifndef FUZZ_MESSAGE_H
#define FUZZ_MESSAGE_H

#include "naive.h"

enum naive_kind { NAIVE_NONE, NAIVE_LENGTH, NAIVE_CHUNKED, NAIVE_CLOSE };

struct naive_request {
    struct naive_head head;
    struct naive_options options;
    struct naive_body body;
    struct slice method, target, authority; /* of an absolute target, or none */
    unsigned minor, hosts;
    bool absolute, one_shot;
    enum naive_kind kind;
};

static inline struct slice naive_authority(struct slice target)
{
    const char *scheme = memmem(target.data, target.len, "://", 3), *at;
    struct slice rest;

    if (!scheme || !naive_token((struct slice){ target.data, (size_t)(scheme - target.data) }))
        return (struct slice){ target.data, 0 };
    rest = (struct slice){ scheme + 3, target.len - (size_t)(scheme + 3 - target.data) };
    for (size_t i = 0; i < rest.len; i++)
        if (strchr("/?#", rest.data[i]))
            rest.len = i;
    while ((at = rest.len ? memchr(rest.data, '@', rest.len) : NULL)) {
        rest.len -= (size_t)(at + 1 - rest.data);
        rest.data = at + 1;
    }
    return rest;
}

static inline bool naive_request_line(struct slice line, struct naive_request *r)
{
    const char *first = memchr(line.data, ' ', line.len), *second;

    if (!first || !(second = memchr(first + 1, ' ', line.len - (size_t)(first + 1 - line.data))))
        return false;
    r->method = (struct slice){ line.data, (size_t)(first - line.data) };
    r->target = (struct slice){ first + 1, (size_t)(second - first - 1) };
    line = (struct slice){ second + 1, line.len - (size_t)(second + 1 - line.data) };
    if (!slice_equal(line, SLICE("HTTP/1.1")) && !slice_equal(line, SLICE("HTTP/1.0")))
        return false;
    r->minor = line.data[7] == '1';
    for (size_t i = 0; i < r->target.len; i++)
        if ((unsigned char)r->target.data[i] < 0x21 || r->target.data[i] == 0x7f)
            return false;
    r->authority = naive_authority(r->target);
    r->absolute = *r->target.data != '/' && !slice_equal(r->target, SLICE("*"));
    return r->target.len > 0 && naive_token(r->method) && (!r->absolute || r->authority.len > 0);
}

/* What a URI's authority is made of (3986 3.2 and 2). */
static inline bool naive_hosts(const struct naive_head *head)
{
    const char *at = head->fields;
    struct naive_field field;

    while (naive_next(head, &at, &field))
        for (size_t i = 0; naive_is(field.name, "host") && i < field.value.len; i++)
            if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()*+,;=:[]",
                        field.value.data[i]))
                return false;
    return true;
}

/* Servers are known to answer it otherwise if it says HTTP/1.1. */
static inline bool naive_of_its_version(const struct naive_request *r)
{
    const char *at = r->head.fields;
    struct naive_field field;

    if (r->minor == 1 || !r->one_shot)
        return false;
    while (naive_next(&r->head, &at, &field))
        if ((naive_is(field.name, "host") && field.value.len == 0) || naive_is(field.name, "range") ||
            (naive_is(field.name, "expect") && !naive_is(field.value, "100-continue")))
            return true;
    for (const char *const *method = (const char *const[]){ "GET", "HEAD", "OPTIONS", "TRACE", "DELETE", "PURGE", NULL }; *method; method++)
        if (r->body.length > 0 && r->method.len == strlen(*method) && memcmp(r->method.data, *method, r->method.len) == 0)
            return true;
    return false;
}

/* Nothing in it that two readers could read in two ways, and no reason to leave it alone. */
static inline bool naive_request_clean(const struct naive_request *r)
{
    struct slice value;

    if (slice_equal(r->method, SLICE("CONNECT")) || r->hosts > 1 || !naive_hosts(&r->head) ||
        (r->hosts == 0 && r->minor == 1))
        return false;
    if (r->absolute && r->hosts == 0 && r->authority.len > 260)
        return false;
    if (r->options.odd || r->options.vital || (r->minor == 1 && naive_count(&r->head, "upgrade", &value)))
        return false;
    if (r->body.lengths > 1 || r->body.bad_length || (r->body.lengths && r->body.codings))
        return false;
    return !naive_of_its_version(r) && (r->body.codings == 0 || (r->body.plain && r->minor == 1));
}

static inline bool naive_list_has(struct slice list, const char *word)
{
    struct slice element;

    while (naive_element(&list, &element))
        if (naive_is(element, word))
            return true;
    return false;
}

static inline void naive_request_facts(struct naive_request *r)
{
    bool keep_alive;
    struct slice value;

    naive_options(&r->head, &r->options);
    naive_body(&r->head, &r->body);
    r->hosts = naive_count(&r->head, "host", &value);
    r->kind = r->body.codings ? NAIVE_CHUNKED : r->body.lengths ? NAIVE_LENGTH : NAIVE_NONE;
    keep_alive = r->options.keep_alive;
    for (const char *at = r->head.fields; r->minor == 0;) {
        struct naive_field field;

        if (!naive_next(&r->head, &at, &field))
            break;
        keep_alive |= naive_is(field.name, "proxy-connection") && naive_list_has(field.value, "keep-alive");
    }
    r->one_shot = r->options.close || (r->minor == 0 && !keep_alive);
}

/* WHOLE: a head that may be touched; BAD: one that must not be. */
static inline enum naive naive_request(const char *bytes, size_t len, struct naive_request *r)
{
    const char *end = bytes + len;
    struct naive_line line;
    enum naive result = naive_line(bytes, end, &line);

    memset(r, 0, sizeof(*r));
    if (result != NAIVE_WHOLE)
        return result;
    if (line.bare || !naive_request_line(line.text, r))
        return NAIVE_BAD;
    result = naive_fields(bytes, line.next, end, &r->head);
    if (result != NAIVE_WHOLE)
        return r->head.lenient ? NAIVE_BAD : result;
    naive_request_facts(r);
    return r->head.lenient || r->head.len > NAIVE_HEAD_MAX || !naive_request_clean(r) ? NAIVE_BAD
                                                                                      : NAIVE_WHOLE;
}

struct naive_response {
    struct naive_head head;
    struct naive_options options;
    struct naive_body body;
    unsigned minor, code;
    enum naive_kind kind;
    bool untouched, unsure; /* unsure: the server may mean another end */
    bool clean;             /* nothing that makes the connection unfit for others */
};

static inline bool naive_status(struct slice line, struct naive_response *r)
{
    char text[13] = "";

    memcpy(text, line.data, line.len < 12 ? line.len : 12);
    if (line.len < 12 || strncmp(text, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)text[7]) ||
        text[8] != ' ')
        return false;
    for (int i = 9; i < 12; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    r->minor = text[7] != '0';
    r->code = (unsigned)atoi(text + 9);
    return r->code >= 100 && (line.len == 12 || line.data[12] == ' ');
}

static inline bool naive_interim(const struct naive_response *r)
{
    return r->code < 200 && r->code != 101;
}

/* 9112 6.3 */
static inline void naive_frame(struct naive_response *r, bool head_method)
{
    const struct naive_body *b = &r->body;
    bool none = head_method || r->code == 204 || r->code == 304 || r->code < 200;

    r->clean = !r->head.lenient && b->lengths < 2 && !b->bad_length && !(b->lengths && b->codings) &&
               !r->options.odd && !r->options.vital;
    r->untouched = r->head.lenient;
    if (none) {
        r->kind = NAIVE_NONE;
        r->unsure = r->untouched;
        if (r->code == 204 || r->code < 200)
            r->unsure |= b->codings > 0 || b->length > 0 || b->bad_length;
        r->clean &= !r->unsure;
        return;
    }
    r->kind = b->codings ? NAIVE_CHUNKED : b->lengths && !b->bad_length ? NAIVE_LENGTH : NAIVE_CLOSE;
    if (b->codings && (r->minor == 0 || !b->ends_chunked))
        r->kind = NAIVE_CLOSE;
    r->untouched |= b->codings ? b->lengths > 0 || !b->plain || r->minor == 0 : b->bad_length;
    r->unsure = r->untouched;
    r->clean &= !r->untouched && r->kind != NAIVE_CLOSE;
}

static inline enum naive naive_response(const char *bytes, size_t len, bool head_method,
                                        struct naive_response *r)
{
    const char *end = bytes + len;
    struct naive_line line;
    enum naive result;

    memset(r, 0, sizeof(*r));
    if (memcmp(bytes, "HTTP/1.", len < 7 ? len : 7) != 0)
        return NAIVE_BAD;
    result = naive_line(bytes, end, &line);
    if (result != NAIVE_WHOLE)
        return result;
    if (!naive_status(line.text, r))
        return NAIVE_BAD;
    r->head.lenient = line.bare;
    result = naive_fields(bytes, line.next, end, &r->head);
    if (result == NAIVE_WHOLE) {
        naive_options(&r->head, &r->options);
        naive_body(&r->head, &r->body);
        naive_frame(r, head_method);
    }
    return r->head.len > NAIVE_HEAD_MAX ? NAIVE_BAD : result;
}

/* May the connection be used after it, as far as the response says?  Not all that forbids it is looked
 * at: what is looked at must be heeded. */
static inline bool naive_persists(const struct naive_response *r)
{
    struct slice value;

    if (naive_count(&r->head, "keep-alive", &value) &&
        (naive_is(value, "timeout=1") || naive_is(value, "max=0")))
        return false;
    if (naive_count(&r->head, "www-authenticate", &value) &&
        (naive_is(value, "NTLM") || naive_is(value, "Negotiate")))
        return false;
    return r->clean && !r->options.close && (r->minor == 1 || r->options.keep_alive);
}

/* What a chunked body holds. */
struct naive_chunks {
    enum naive result;
    bool unsure; /* MORE, but what there is of a line may be bad already */
    bool lenient;
    size_t used; /* WHOLE: where it ends */
    size_t out;  /* data bytes */
};

/* Does a quoted string (9110 5.6.4) begin on the line that does not end there? */
static inline bool naive_open_quote(struct slice line)
{
    bool open = false;

    for (size_t i = 0; i < line.len; i++)
        if (open && line.data[i] == '\\')
            i++;
        else if (line.data[i] == '"')
            open = !open;
    return open;
}

/* The size on a line; false: none. */
static inline bool naive_chunk_size(struct slice line, uint64_t *size, bool *lenient)
{
    char digits[17] = "";
    size_t n = 0;

    while (n < line.len && isxdigit((unsigned char)line.data[n]))
        n++;
    if (n == 0)
        return false;
    for (size_t i = n; i < line.len && line.data[i] != ';'; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
        *lenient = true;
    }
    *lenient |= naive_open_quote(line);
    for (; n > 1 && *line.data == '0'; line.data++)
        n--;
    if (n > 16 || (n == 16 && !strchr("1234567", *line.data)))
        return false;
    memcpy(digits, line.data, n);
    *size = strtoull(digits, NULL, 16);
    return true;
}

/* One line of anything but data.  `overhead`: bytes of them since the last data. */
static inline enum naive naive_chunk_line(const char **at, const char *end, size_t *overhead,
                                          struct naive_line *line, struct naive_chunks *c)
{
    enum naive result = naive_line(*at, end, line);

    *overhead += (size_t)((result == NAIVE_MORE ? end : line->next) - *at);
    if (*overhead > 65536)
        return NAIVE_BAD;
    c->unsure = result == NAIVE_MORE && *at < end;
    if (result != NAIVE_WHOLE)
        return result;
    c->lenient |= line->bare;
    *at = line->next;
    return NAIVE_WHOLE;
}

/* The data goes to `out`, which has room for all. */
static inline void naive_chunked(const char *bytes, size_t len, char *out, struct naive_chunks *c)
{
    const char *at = bytes, *end = bytes + len;
    struct naive_line line;
    uint64_t size = 1;
    size_t overhead = 0;

    memset(c, 0, sizeof(*c));
    while (size > 0) {
        size_t n;

        c->result = naive_chunk_line(&at, end, &overhead, &line, c);
        if (c->result == NAIVE_WHOLE && !naive_chunk_size(line.text, &size, &c->lenient))
            c->result = NAIVE_BAD;
        if (c->result != NAIVE_WHOLE)
            return;
        if (size == 0)
            break;
        n = size < (uint64_t)(end - at) ? (size_t)size : (size_t)(end - at);
        memcpy(out + c->out, at, n);
        c->out += n;
        at += n;
        overhead = 0;
        c->result = n < size ? NAIVE_MORE : naive_chunk_line(&at, end, &overhead, &line, c);
        if (c->result == NAIVE_WHOLE && line.text.len > 0)
            c->result = NAIVE_BAD;
        if (c->result != NAIVE_WHOLE)
            return;
    }
    do {
        struct naive_field field;

        c->result = naive_chunk_line(&at, end, &overhead, &line, c);
        if (c->result == NAIVE_WHOLE && line.text.len > 0)
            c->lenient |= !naive_field(line.text, &field) || naive_is(field.name, "content-length") ||
                          naive_is(field.name, "transfer-encoding");
    } while (c->result == NAIVE_WHOLE && line.text.len > 0);
    c->used = (size_t)(at - bytes);
}

#endif
