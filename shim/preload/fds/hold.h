/* SPDX-License-Identifier: ISC */
/* hold: bytes that are kept for later, in block memory.  All zero is an empty one. */
#ifndef HOLDFAST_PRELOAD_HOLD_H
#define HOLDFAST_PRELOAD_HOLD_H

#include <stdbool.h>
#include <stddef.h>

/* `start` to `end` are still of use. */
struct hold {
    char *data;
    size_t cap, start, end;
};

/* Room for `len` more bytes behind `end`; false: no memory. */
bool hold_reserve(struct hold *h, size_t len);

/* Adds bytes behind `end`; false: no memory, and nothing has changed. */
bool hold_append(struct hold *h, const char *bytes, size_t len);
void hold_give(struct hold *h); /* gives the block back */
static inline size_t hold_len(const struct hold *h) { return h->end - h->start; }

static inline void hold_clear(struct hold *h)
{
    if (h->data)
        hold_give(h);
    else
        h->start = h->end = 0;
}

#endif
