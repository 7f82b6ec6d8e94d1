/* SPDX-License-Identifier: ISC */
/* slice: a run of bytes that somebody else owns.  Never NUL-terminated by promise. */
#ifndef HOLDFAST_BASE_SLICE_H
#define HOLDFAST_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data;
    size_t len;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* ASCII case only, whatever the locale says: field names are ASCII (9110 5.1). */
static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    return true;
}

/* Eight bytes at a time. */
#define SLICE_EACH 0x0101010101010101u

/* Up to eight bytes; for each length, no two texts give the same. */
static inline uint64_t slice_word(const char *p, size_t len)
{
    uint64_t whole = 0;
    uint32_t head, tail;

    if (len >= 4 && len < 8) {
        memcpy(&head, p, 4);
        memcpy(&tail, p + len - 4, 4);
        return head | (uint64_t)tail << 32;
    }
    if (len >= 8)
        memcpy(&whole, p, 8);
    else if (len > 0)
        whole = (unsigned char)p[0] | (unsigned)(unsigned char)p[len / 2] << 8 |
                (unsigned)(unsigned char)p[len - 1] << 16;
    return whole;
}

/* 0x20 in each byte of the word that lies in [first, first + 26), both ASCII letters. */
static inline uint64_t slice_letters(uint64_t word, unsigned char first)
{
    uint64_t low = word & 0x7f * SLICE_EACH;
    uint64_t from = low + (0x80u - first) * SLICE_EACH, behind = low + (0x80u - 26 - first) * SLICE_EACH;

    return (from & ~behind & ~word & 0x80 * SLICE_EACH) >> 2;
}

/* ascii_lower of each byte. */
static inline uint64_t slice_lower_word(uint64_t word)
{
    return word | slice_letters(word, 'A');
}

/* Of a word and one in lower case. */
static inline bool slice_same_word(uint64_t word, uint64_t lower)
{
    return ((word ^ lower) & ~slice_letters(lower, 'a')) == 0;
}

/* `lower` is a literal in lower case, of at most 24 bytes: a few instructions, then. */
static inline __attribute__((always_inline)) bool slice_is_lower(struct slice s, const char *lower)
{
    size_t len = strlen(lower);

    if (s.len != len)
        return false;
    if (len <= 8)
        return slice_same_word(slice_word(s.data, len), slice_word(lower, len));
    if (len > 16 && !slice_same_word(slice_word(s.data + 8, 8), slice_word(lower + 8, 8)))
        return false;
    return slice_same_word(slice_word(s.data, 8), slice_word(lower, 8)) &&
           slice_same_word(slice_word(s.data + len - 8, 8), slice_word(lower + len - 8, 8));
}

#endif
