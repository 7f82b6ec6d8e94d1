/* SPDX-License-Identifier: ISC */
/* naive: a second opinion on a head: line by line, by library calls, with nothing shared with
 * shim/http.  Slow and short, so that it can be read and believed. */
#ifndef FUZZ_NAIVE_H
#define FUZZ_NAIVE_H

#include "base/slice.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAIVE_HEAD_MAX 65536u
#define NAIVE_NAMES_MAX 16u

enum naive { NAIVE_WHOLE, NAIVE_MORE, NAIVE_BAD };

static inline bool naive_is(struct slice s, const char *word)
{
    return s.len == strlen(word) && strncasecmp(s.data, word, s.len) == 0;
}

static inline bool naive_holds(struct slice s, int c)
{
    return s.len > 0 && memchr(s.data, c, s.len);
}

static inline struct slice naive_trim(struct slice s)
{
    for (; s.len > 0 && (*s.data == ' ' || *s.data == '\t'); s.data++)
        s.len--;
    for (; s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'); s.len--)
        ;
    return s;
}

static inline bool naive_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];

        if (c == 0 || c > 126 || (!isalnum(c) && !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.len > 0;
}

/* A line without its end. */
struct naive_line {
    struct slice text;
    bool bare; /* a line feed alone ends it */
    const char *next;
};

static inline enum naive naive_line(const char *at, const char *end, struct naive_line *line)
{
    const char *lf = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;

    if (!lf)
        return NAIVE_MORE;
    line->bare = lf == at || lf[-1] != '\r';
    line->next = lf + 1;
    line->text = (struct slice){ at, (size_t)(lf - at) - (line->bare ? 0 : 1) };
    return naive_holds(line->text, '\r') || naive_holds(line->text, '\0') ? NAIVE_BAD : NAIVE_WHOLE;
}

struct naive_field {
    struct slice name, value, line; /* the line with its end */
};

static inline bool naive_field(struct slice text, struct naive_field *field)
{
    const char *colon = text.len ? memchr(text.data, ':', text.len) : NULL;

    if (!colon)
        return false;
    field->name = (struct slice){ text.data, (size_t)(colon - text.data) };
    field->value = naive_trim((struct slice){ colon + 1, text.len - field->name.len - 1 });
    return naive_token(field->name);
}

/* The fields of a head that naive_fields has read. */
struct naive_head {
    const char *fields, *blank; /* the first field; the line that ends the head */
    size_t len;
    bool lenient;
};

/* From `at`, the end of the first line. */
static inline enum naive naive_fields(const char *bytes, const char *at, const char *end,
                                      struct naive_head *head)
{
    head->fields = at;
    for (;;) {
        struct naive_field field;
        struct naive_line line;
        enum naive result = naive_line(at, end, &line);

        if (result != NAIVE_WHOLE)
            return result;
        head->lenient |= line.bare;
        if (line.text.len == 0) {
            head->blank = at;
            head->len = (size_t)(line.next - bytes);
            return NAIVE_WHOLE;
        }
        if (!naive_field(line.text, &field))
            return NAIVE_BAD;
        at = line.next;
    }
}

/* The field at *at, which goes to the next one; false: no more. */
static inline bool naive_next(const struct naive_head *head, const char **at, struct naive_field *field)
{
    struct naive_line line;

    if (*at == head->blank)
        return false;
    naive_line(*at, head->blank, &line);
    naive_field(line.text, field);
    field->line = (struct slice){ *at, (size_t)(line.next - *at) };
    *at = line.next;
    return true;
}

/* How many fields have that name, and the last one's value. */
static inline unsigned naive_count(const struct naive_head *head, const char *name, struct slice *value)
{
    const char *at = head->fields;
    struct naive_field field;
    unsigned count = 0;

    while (naive_next(head, &at, &field))
        if (naive_is(field.name, name)) {
            *value = field.value;
            count++;
        }
    return count;
}

/* Splits at commas; empty elements are elements here. */
static inline bool naive_element(struct slice *list, struct slice *element)
{
    size_t len = 0;

    if (!list->data)
        return false;
    while (len < list->len && list->data[len] != ',')
        len++;
    *element = naive_trim((struct slice){ list->data, len });
    *list = len < list->len ? (struct slice){ list->data + len + 1, list->len - len - 1 }
                            : (struct slice){ NULL, 0 };
    return true;
}

static inline bool naive_vital(struct slice name)
{
    return naive_is(name, "host") || naive_is(name, "content-length") ||
           naive_is(name, "transfer-encoding") || naive_is(name, "authorization") || naive_is(name, "cookie");
}

/* What the Connection fields say. */
struct naive_options {
    bool close, keep_alive, odd, vital;
    unsigned names;
    struct slice name[NAIVE_NAMES_MAX];
};

static inline void naive_option(struct naive_options *o, struct slice element)
{
    if (element.len == 0)
        return;
    if (naive_is(element, "close")) {
        o->close = true;
    } else if (naive_is(element, "keep-alive")) {
        o->keep_alive = true;
    } else {
        o->odd |= !naive_token(element) || o->names == NAIVE_NAMES_MAX;
        o->vital |= naive_vital(element);
        if (o->names < NAIVE_NAMES_MAX)
            o->name[o->names++] = element;
    }
}

static inline void naive_options(const struct naive_head *head, struct naive_options *o)
{
    const char *at = head->fields;
    struct naive_field field;
    struct slice element;

    memset(o, 0, sizeof(*o));
    while (naive_next(head, &at, &field))
        if (naive_is(field.name, "connection"))
            while (naive_element(&field.value, &element))
                naive_option(o, element);
}

static inline bool naive_named(const struct naive_options *o, struct slice name)
{
    for (unsigned i = 0; i < o->names; i++)
        if (slice_equal_nocase(o->name[i], name))
            return true;
    return false;
}

/* Content-Length and Transfer-Encoding, all of them. */
struct naive_body {
    unsigned lengths;
    bool bad_length;
    uint64_t length;
    unsigned codings;
    bool plain, ends_chunked;
};

static inline bool naive_number(struct slice s, uint64_t *number)
{
    char digits[20] = "";

    for (size_t i = 0; i < s.len; i++)
        if (!isdigit((unsigned char)s.data[i]))
            return false;
    if (s.len == 0)
        return false;
    for (; s.len > 1 && *s.data == '0'; s.data++)
        s.len--;
    if (s.len > 19)
        return false;
    memcpy(digits, s.data, s.len);
    if (s.len == 19 && strcmp(digits, "9223372036854775799") > 0)
        return false;
    *number = strtoull(digits, NULL, 10);
    return true;
}

static inline void naive_body(const struct naive_head *head, struct naive_body *b)
{
    const char *at = head->fields;
    struct naive_field field;
    struct slice element;
    uint64_t number;

    memset(b, 0, sizeof(*b));
    while (naive_next(head, &at, &field)) {
        if (naive_is(field.name, "content-length"))
            while (naive_element(&field.value, &element)) {
                bool good = naive_number(element, &number);

                b->bad_length |= !good || (b->lengths > 0 && number != b->length);
                b->length = b->lengths == 0 && good ? number : b->length;
                b->lengths++;
            }
        if (!naive_is(field.name, "transfer-encoding"))
            continue;
        b->plain = ++b->codings == 1 && naive_is(field.value, "chunked");
        b->ends_chunked = false;
        while (naive_element(&field.value, &element))
            b->ends_chunked = element.len > 0 ? naive_is(element, "chunked") : b->ends_chunked;
    }
}

#endif
