#include "http/framing.h"

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

static uint8_t after_size(struct framing *f, char c)
{
    switch (c) {
    case ';':
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

/* One byte of anything but data. */
static uint8_t chunk_step(struct framing *f, char c)
{
    switch (f->state) {
    case CHUNK_SIZE:
        return in_size(f, c);
    case CHUNK_PAD:
        return after_size(f, c);
    case CHUNK_EXTENSION:
        if (c == '\n')
            return bare_lf(f, size_known(f));
        return in_line(f, c, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_BROKEN);
    case CHUNK_SIZE_LF:
        return c == '\n' ? size_known(f) : CHUNK_BROKEN;
    case CHUNK_DATA_CR:
        return in_line(f, c, CHUNK_BROKEN, CHUNK_DATA_LF, CHUNK_SIZE);
    case CHUNK_DATA_LF:
        return c == '\n' ? CHUNK_SIZE : CHUNK_BROKEN;
    case CHUNK_TRAILER_START:
        return in_line(f, c, CHUNK_TRAILER, CHUNK_END_LF, CHUNK_END);
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
