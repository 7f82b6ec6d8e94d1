/* SPDX-License-Identifier: ISC */
#include "http/head.h"

#define BOTH (HEAD_TOKEN | HEAD_HOST)

const uint8_t head_chars[256] = {
    ['!'] = BOTH,         ['#'] = HEAD_TOKEN, ['$'] = BOTH,       ['%'] = BOTH,         ['&'] = BOTH,
    ['\''] = BOTH,        ['*'] = BOTH,       ['+'] = BOTH,       ['-'] = BOTH,         ['.'] = BOTH,
    ['^'] = HEAD_TOKEN,   ['_'] = BOTH,       ['`'] = HEAD_TOKEN, ['|'] = HEAD_TOKEN,   ['~'] = BOTH,
    ['('] = HEAD_HOST,    [')'] = HEAD_HOST,  ['['] = HEAD_HOST,  [']'] = HEAD_HOST,    [','] = HEAD_HOST,
    [';'] = HEAD_HOST,    [':'] = HEAD_HOST,  ['='] = HEAD_HOST,  ['0' ... '9'] = BOTH, ['A' ... 'Z'] = BOTH,
    ['a' ... 'z'] = BOTH,
};

bool head_is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!head_is_token_char(s.data[i]))
            return false;
    return s.len > 0;
}

static inline bool ends_text(char c)
{
    return c == '\r' || c == '\n' || c == '\0';
}

/* The first CR, LF or NUL, or end. */
static const char *text_end(const char *p, const char *end)
{
    for (p = scan_text(p, end); p < end && !ends_text(*p); p = scan_text(p, end))
        p++; /* a tab, or another control that does no harm */
    return p;
}

static enum head_result bad_line(const char *from, const char *end)
{
    return memchr(from, '\n', (size_t)(end - from)) ? HEAD_BAD : HEAD_MORE;
}

/* p is where text_end stopped. */
static inline enum head_result line_end(const char *p, const char *end, const char **next, bool *lenient)
{
    if (p == end)
        return HEAD_MORE;
    if (*p == '\n') {
        *lenient = true;
        *next = p + 1;
        return HEAD_DONE;
    }
    if (*p != '\r')
        return bad_line(p, end);
    if (p + 1 == end)
        return HEAD_MORE;
    if (p[1] != '\n')
        return bad_line(p + 1, end);
    *next = p + 2;
    return HEAD_DONE;
}

enum head_result head_field(const char *at, const char *end, struct head_field *field, bool *lenient)
{
    const char *p = at, *value;

    while (p < end && head_is_token_char(*p))
        p++;
    field->name = (struct slice){ at, (size_t)(p - at) };
    if (p == end)
        return HEAD_MORE;
    if (p == at && ends_text(*p))
        return line_end(p, end, &field->next, lenient);
    if (p == at || *p != ':')
        return bad_line(p, end);
    value = p + 1;
    p = text_end(value, end);
    field->value = (struct slice){ value, (size_t)(p - value) };
    return line_end(p, end, &field->next, lenient);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The text after HTTP/1. */
static bool status_parse(struct slice s, struct head_status *line)
{
    const char *p = s.data;

    if (s.len < 5 || !is_digit(p[0]) || p[1] != ' ' || p[2] < '1' || p[2] > '9' || !is_digit(p[3]) ||
        !is_digit(p[4]) || (s.len > 5 && p[5] != ' '))
        return false;
    line->minor = p[0] > '0';
    line->code = (uint16_t)((p[2] - '0') * 100 + (p[3] - '0') * 10 + (p[4] - '0'));
    return true;
}

enum head_result head_status(const char *at, const char *end, struct head_status *line, bool *lenient)
{
    size_t len = (size_t)(end - at);
    const char *p;
    enum head_result result;

    line->foreign = len < 7 ? memcmp(at, "HTTP/1.", len) != 0 : memcmp(at, "HTTP/1.", 7) != 0;
    if (line->foreign)
        return HEAD_BAD;
    if (len <= 7)
        return HEAD_MORE;
    p = text_end(at + 7, end);
    result = line_end(p, end, &line->next, lenient);
    if (result == HEAD_DONE && !status_parse((struct slice){ at + 7, (size_t)(p - at - 7) }, line))
        return HEAD_BAD;
    return result;
}

bool head_recheck(const char *bytes, size_t len, size_t seen, bool strict)
{
    const char *end = bytes + len, *at = bytes + seen;
    struct head_field field;
    bool lenient = false;

    if (!memchr(at, '\n', len - seen))
        return false;
    while (at > bytes && at[-1] != '\n')
        at--;
    if (at == bytes)
        return true; /* the start line is new */
    for (;; at = field.next) {
        enum head_result result = head_field(at, end, &field, &lenient);

        if (result == HEAD_MORE)
            return false;
        if (result == HEAD_BAD || field.name.len == 0 || (strict && lenient))
            return true;
    }
}
