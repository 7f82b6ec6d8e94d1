/* SPDX-License-Identifier: ISC */
#include "http/framing.h"

#include "http/head.h"

#include <string.h>

/* Chunk extensions mean nothing to anybody, and trailers little: bytes of them without any data. */
#define LINE_MAX 65536u

enum chunk_state {
    CHUNK_SIZE, /* first, so that framing_start can zero it */
    CHUNK_PAD,  /* blanks after the size */
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_END,
    CHUNK_BROKEN,
};

void framing_start(struct framing *f, enum framing_kind kind, uint64_t length)
{
    *f = (struct framing){ .kind = (uint8_t)kind, .left = kind == FRAMING_LENGTH ? length : 0 };
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The line feed of a chunk-size line. */
static uint8_t size_known(struct framing *f)
{
    f->digits = 0;
    if (f->left == 0)
        return CHUNK_TRAILER_START;
    f->line = 0;
    return CHUNK_DATA;
}

static uint8_t bare_lf(struct framing *f, uint8_t next)
{
    f->lenient = true;
    return next;
}

/* A quote that does not end with its line: where does the line end?  `digits` is the state of it. */
enum { QUOTE_NONE, QUOTE_OPEN, QUOTE_ESCAPE };

static uint8_t after_size(struct framing *f, char c)
{
    switch (c) {
    case ';':
        f->digits = QUOTE_NONE;
        return CHUNK_EXTENSION;
    case '\r':
        return CHUNK_SIZE_LF;
    case '\n':
        return bare_lf(f, size_known(f));
    case ' ':
    case '\t':
        f->lenient = true; /* 9112 7.1.1 has blanks around ';' only, and calls even those bad */
        return CHUNK_PAD;
    }
    return CHUNK_BROKEN;
}

static uint8_t in_size(struct framing *f, char c)
{
    int value = hex_value(c);

    if (value < 0)
        return f->digits ? after_size(f, c) : CHUNK_BROKEN;
    if (f->left > UINT64_MAX >> 5)
        return CHUNK_BROKEN;
    f->left = f->left << 4 | (uint64_t)value;
    f->digits = 1;
    return CHUNK_SIZE;
}

static uint8_t in_line(struct framing *f, char c, uint8_t same, uint8_t cr, uint8_t lf)
{
    if (c == '\r')
        return cr;
    if (c == '\n')
        return bare_lf(f, lf);
    return c == '\0' ? CHUNK_BROKEN : same;
}

static uint8_t in_extension(struct framing *f, char c)
{
    if (c == '\r' || c == '\n')
        f->lenient |= f->digits != QUOTE_NONE;
    else if (f->digits == QUOTE_ESCAPE)
        f->digits = QUOTE_OPEN;
    else if (f->digits == QUOTE_OPEN && c == '\\')
        f->digits = QUOTE_ESCAPE;
    else if (c == '"')
        f->digits ^= QUOTE_OPEN;
    if (c == '\n')
        return bare_lf(f, size_known(f));
    return in_line(f, c, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_BROKEN);
}

/* Framing fields in a trailer: 9110 6.5.1 forbids them, and somebody may believe them. */
static const char *const framing_names[] = { "content-length", "transfer-encoding" };
#define FRAMING_NAMES (sizeof(framing_names) / sizeof(framing_names[0]))

/* A byte of a trailer's name, with the colon.  `left` is not needed any more: a bit for each name that
 * this one may still become; `digits`: how far it has been read. */
static uint8_t in_name(struct framing *f, char c)
{
    for (unsigned i = 0; i < FRAMING_NAMES; i++) {
        char next = f->left >> i & 1 ? framing_names[i][f->digits] : '\0';

        if (next == '\0' && c == ':' && f->left >> i & 1)
            f->lenient = true;
        if (next == '\0' || ascii_lower(c) != next)
            f->left &= ~(UINT64_C(1) << i);
    }
    f->digits += f->left != 0;
    if (head_is_token_char(c))
        return CHUNK_TRAILER_NAME;
    f->lenient |= c != ':' && c != '\0'; /* obs-fold, a blank before the colon, no colon (9112 5) */
    return in_line(f, c, CHUNK_TRAILER, CHUNK_TRAILER_LF, CHUNK_TRAILER_START);
}

static uint8_t trailer_start(struct framing *f, char c)
{
    if (c == '\r' || c == '\n')
        return in_line(f, c, CHUNK_BROKEN, CHUNK_END_LF, CHUNK_END);
    f->left = (1u << FRAMING_NAMES) - 1;
    f->digits = 0;
    f->lenient |= c == ':';
    return in_name(f, c);
}

/* One byte of anything but data. */
static uint8_t chunk_step(struct framing *f, char c)
{
    switch (f->state) {
    case CHUNK_SIZE:
        return in_size(f, c);
    case CHUNK_PAD:
        return after_size(f, c);
    case CHUNK_EXTENSION:
        return in_extension(f, c);
    case CHUNK_SIZE_LF:
        return c == '\n' ? size_known(f) : CHUNK_BROKEN;
    case CHUNK_DATA_CR:
        return in_line(f, c, CHUNK_BROKEN, CHUNK_DATA_LF, CHUNK_SIZE);
    case CHUNK_DATA_LF:
        return c == '\n' ? CHUNK_SIZE : CHUNK_BROKEN;
    case CHUNK_TRAILER_START:
        return trailer_start(f, c);
    case CHUNK_TRAILER_NAME:
        return in_name(f, c);
    case CHUNK_TRAILER:
        return in_line(f, c, CHUNK_TRAILER, CHUNK_TRAILER_LF, CHUNK_TRAILER_START);
    case CHUNK_TRAILER_LF:
        return c == '\n' ? CHUNK_TRAILER_START : CHUNK_BROKEN;
    case CHUNK_END_LF:
        return c == '\n' ? CHUNK_END : CHUNK_BROKEN;
    }
    return CHUNK_BROKEN;
}

static size_t smaller(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* Moves up to len bytes of data to *out, if that is wanted; returns how many there were. */
static size_t chunk_data(struct framing *f, const char *bytes, size_t len, char **out)
{
    size_t n = smaller(f->left, len);

    if (out) {
        if (*out != bytes)
            memmove(*out, bytes, n);
        *out += n;
    }
    f->left -= n;
    if (f->left == 0)
        f->state = CHUNK_DATA_CR;
    return n;
}

static enum framing_result chunked(struct framing *f, const char *bytes, size_t len, size_t *used, char **out)
{
    size_t i = 0;

    while (i < len && f->state < CHUNK_END) {
        if (f->state == CHUNK_DATA) {
            i += chunk_data(f, bytes + i, len - i, out);
            continue;
        }
        f->state = ++f->line > LINE_MAX ? CHUNK_BROKEN : chunk_step(f, bytes[i]);
        i++;
    }
    *used = i;
    if (f->state == CHUNK_BROKEN)
        return FRAMING_BAD;
    return f->state == CHUNK_END ? FRAMING_DONE : FRAMING_MORE;
}

enum framing_result framing_follow(struct framing *f, const char *bytes, size_t len, size_t *used)
{
    switch (f->kind) {
    case FRAMING_CHUNKED:
        return chunked(f, bytes, len, used, NULL);
    case FRAMING_LENGTH:
        *used = smaller(f->left, len);
        f->left -= *used;
        return f->left == 0 ? FRAMING_DONE : FRAMING_MORE;
    case FRAMING_CLOSE:
        *used = len;
        return FRAMING_MORE;
    }
    *used = 0;
    return FRAMING_DONE;
}

enum framing_result framing_decode(struct framing *f, char *bytes, size_t len, size_t *used, size_t *out)
{
    char *to = bytes;
    enum framing_result result = chunked(f, bytes, len, used, &to);

    *out = (size_t)(to - bytes);
    return result;
}
