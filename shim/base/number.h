/* SPDX-License-Identifier: ISC */
/* number: numbers in text, without libc.  From glibc 2.38 on its headers take strtoul, atoi and sscanf for names that musl
 * and an older glibc lack (`__isoc23_strtoul`), and their programs would not start with the library.  Inline; no locks. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes a number of this base, 10 or 16 with small letters, and blanks before it from the text.  False: there is none. */
static inline bool number_take(const char **text, unsigned base, uint64_t *value)
{
    const char *at = *text;

    while (*at == ' ' || *at == '\t')
        at++;
    const char *digits = at;
    for (*value = 0;; at++) {
        unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0') : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10 : base;
        if (digit >= base || *value > (UINT64_MAX - digit) / base)
            break;
        *value = *value * base + digit;
    }
    *text = at;
    return at > digits;
}

/* The number that the text begins with; 0: there is none. */
static inline uint64_t number_at(const char *text, unsigned base)
{
    uint64_t value;

    number_take(&text, base, &value);
    return value;
}

/* Writes it in decimal; returns the place behind it.  Without printf(3), which needs more stack than a coroutine may have. */
static inline char *number_put(char *at, unsigned value)
{
    char digits[3 * sizeof value];
    unsigned n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        *at++ = digits[--n];
    return at;
}

/* Takes a decimal number that may have a minus.  False, and nothing is taken: there is none that an int can hold. */
static inline bool number_take_int(const char **text, int *value)
{
    const char *at = *text;
    bool minus = *at == '-';
    uint64_t number;

    at += minus;
    if (!number_take(&at, 10, &number) || number > INT_MAX)
        return false;
    *value = minus ? -(int)number : (int)number;
    *text = at;
    return true;
}

#endif
