/* SPDX-License-Identifier: ISC */
/* head: the lines of an HTTP/1.x message head as slices of the caller's bytes (9112 2 to 5).  Pure.
 *
 * A verdict depends on the bytes only, never on how they arrived: a bad line is BAD once its line feed
 * is there, and MORE until then.  `end` is the end of the bytes seen so far. */
#ifndef HOLDFAST_HTTP_HEAD_H
#define HOLDFAST_HTTP_HEAD_H

#include "base/slice.h"
#include "http/scan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum head_result { HEAD_DONE, HEAD_MORE, HEAD_BAD };

/* One field; the blank line that ends a head has an empty name.  The value may have
 * blanks around it: head_trim. */
struct head_field {
    struct slice name, value;
    const char *next; /* the line after this one */
};

struct head_status {
    uint16_t code;
    uint8_t minor; /* HTTP/1.minor, at most 1: a later one is answered as 1.1 is (9110 2.5) */
    bool foreign;  /* BAD: does not even begin with HTTP/1. */
    const char *next;
};

/* BAD: no token right before the colon (blank before it, obs-fold, empty name, no colon), a NUL or a
 * bare CR.  *lenient is set, never cleared, where a bare LF ends the line. */
enum head_result head_field(const char *at, const char *end, struct head_field *field, bool *lenient);

/* The same, and the usual line is read right here: it is whole, its name has letters and '-' only, its value
 * no control characters.  For loops that every head goes through. */
static inline __attribute__((always_inline)) enum head_result
head_field_inline(const char *at, const char *end, struct head_field *field, bool *lenient)
{
    const char *colon, *stop;

    if (end - at >= 2 && memcmp(at, "\r\n", 2) == 0) {
        *field = (struct head_field){ .name = { at, 0 }, .next = at + 2 };
        return HEAD_DONE;
    }
    colon = scan_name(at, end);
    if (colon == at || colon == end || *colon != ':')
        return head_field(at, end, field, lenient);
    stop = scan_text(colon + 1, end);
    if (end - stop < 2 || memcmp(stop, "\r\n", 2) != 0)
        return head_field(at, end, field, lenient);
    field->name = (struct slice){ at, (size_t)(colon - at) };
    field->value = (struct slice){ colon + 1, (size_t)(stop - colon - 1) };
    field->next = stop + 2;
    return HEAD_DONE;
}

/* `HTTP/1.d SP 3DIGIT [SP text]`.  BAD at once, with `foreign`, if the bytes cannot begin with HTTP/1. */
enum head_result head_status(const char *at, const char *end, struct head_status *line, bool *lenient);

/* For a head that was MORE when its first `seen` bytes were there: is it worth parsing again, or would
 * it still be MORE?  `strict`: a bare LF is worth it, too.  Linear over all calls. */
bool head_recheck(const char *bytes, size_t len, size_t seen, bool strict);

/* What a character may be part of. */
enum {
    HEAD_TOKEN = 1, /* 9110 5.6.2 */
    HEAD_HOST = 2,  /* 9110 7.2, and what a uri-host may hold */
};
extern const uint8_t head_chars[256];

static inline bool head_is_token_char(char c)
{
    return head_chars[(unsigned char)c] & HEAD_TOKEN;
}

bool head_is_token(struct slice s);

static inline bool head_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Without blanks and tabs at both ends. */
static inline struct slice head_trim(struct slice s)
{
    for (; s.len > 0 && head_is_blank(*s.data); s.len--)
        s.data++;
    while (s.len > 0 && head_is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

#endif
