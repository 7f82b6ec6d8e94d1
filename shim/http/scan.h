/* SPDX-License-Identifier: ISC */
/* scan: where a run of plain bytes ends, sixteen at a time.  Nothing outside of [p, end) is read.
 *
 * Vectors as the compilers have them for every machine; scan_bits alone is faster where SSE2 is. */
#ifndef HOLDFAST_HTTP_SCAN_H
#define HOLDFAST_HTTP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* No block is passed to a function that is not inlined: there is no ABI that could change. */
#pragma GCC diagnostic ignored "-Wpsabi"

typedef uint8_t scan_block __attribute__((vector_size(16)));

/* Bit 0 of each of eight bytes, the first byte's lowest. */
static inline unsigned scan_gather(uint64_t mask)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (unsigned)((mask & 0x8040201008040201u) * 0x0101010101010101u >> 56);
#else
    return (unsigned)((mask & 0x0102040810204080u) * 0x0101010101010101u >> 56);
#endif
}

/* Of 16 bytes that are each 0 or 0xff: a bit for each, the first one's lowest. */
static inline unsigned scan_bits_anywhere(scan_block mask)
{
    uint64_t half[2];

    memcpy(half, &mask, sizeof(half));
    return scan_gather(half[0]) | scan_gather(half[1]) << 8;
}

static inline unsigned scan_bits(scan_block mask)
{
#ifdef __SSE2__
    return (unsigned)_mm_movemask_epi8((__m128i)mask);
#else
    return scan_bits_anywhere(mask);
#endif
}

/* What each kind of run is made of, or ended by.  0 ends them all. */

static inline scan_block scan_is_letter(scan_block b)
{
    return (scan_block)((b | 0x20) - 'a' <= 'z' - 'a');
}

static inline scan_block scan_is_name(scan_block b)
{
    return scan_is_letter(b) | (scan_block)(b == '-');
}

static inline scan_block scan_is_host(scan_block b)
{
    return scan_is_letter(b) | (scan_block)((b - '-' <= ':' - '-') & (b != '/'));
}

static inline scan_block scan_ends_target(scan_block b)
{
    return (scan_block)((b <= ' ') | (b == 0x7f));
}

static inline scan_block scan_ends_text(scan_block b)
{
    return (scan_block)(b < ' ');
}

/* Puts the fewer than 16 bytes up to end there, and zeros behind them. */
void scan_rest(const char *p, const char *end, char rest[static 16]);

/* Bits of the 16 bytes at p; `kind` is one of the above. */
static inline __attribute__((always_inline)) unsigned scan_at(const char *p, scan_block (*kind)(scan_block))
{
    scan_block block;

    memcpy(&block, p, sizeof(block));
    return scan_bits(kind(block));
}

/* `made_of`: kind says what the run is made of, not what ends it. */
static inline __attribute__((always_inline)) const char *scan(const char *p, const char *end,
                                                              scan_block (*kind)(scan_block), bool made_of)
{
    unsigned flip = made_of ? 0xffff : 0;
    char rest[16];

    for (; end - p >= 16; p += 16) {
        unsigned stops = scan_at(p, kind) ^ flip;

        if (stops)
            return p + __builtin_ctz(stops);
    }
    scan_rest(p, end, rest);
    return p + __builtin_ctz(scan_at(rest, kind) ^ flip);
}

/* The first byte that is no letter and not '-', or end. */
static inline const char *scan_name(const char *p, const char *end)
{
    return scan(p, end, scan_is_name, true);
}

/* The first that is no letter, digit, '-', '.' or ':'. */
static inline const char *scan_host(const char *p, const char *end)
{
    return scan(p, end, scan_is_host, true);
}

/* The first that is a control or a space. */
static inline const char *scan_target(const char *p, const char *end)
{
    return scan(p, end, scan_ends_target, false);
}

/* The first below 0x20. */
static inline const char *scan_text(const char *p, const char *end)
{
    return scan(p, end, scan_ends_text, false);
}

#endif
