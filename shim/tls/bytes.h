/* SPDX-License-Identifier: ISC */
/* bytes: a buffer on the heap that grows at its end and is used up from its beginning. */
#ifndef HOLDFAST_TLS_BYTES_H
#define HOLDFAST_TLS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    char *data;
    size_t start, end, cap; /* what is in it lies from start to end */
};

static inline size_t bytes_len(const struct bytes *b)
{
    return b->end - b->start;
}

/* Each clears what is in it and gives the memory back. */
static inline void bytes_clear(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){ .data = NULL };
}

/* Room for `more` bytes behind the end; false: no memory, and nothing has changed. */
static inline bool bytes_reserve(struct bytes *b, size_t more)
{
    size_t len = bytes_len(b);

    if (b->cap - b->end >= more && b->data)
        return true;
    if (b->data && b->start) {
        memmove(b->data, b->data + b->start, len);
        b->start = 0;
        b->end = len;
    }
    if (b->data && b->cap - len >= more)
        return true;
    char *data = realloc(b->data, len + more);
    if (!data)
        return false;
    b->data = data;
    b->cap = len + more;
    return true;
}

/* False: no memory, and nothing has changed. */
static inline bool bytes_add(struct bytes *b, const void *data, size_t len)
{
    if (!len)
        return true;
    if (!bytes_reserve(b, len))
        return false;
    memcpy(b->data + b->end, data, len);
    b->end += len;
    return true;
}

static inline bool bytes_equal(const struct bytes *a, const struct bytes *b)
{
    return bytes_len(a) == bytes_len(b) && memcmp(a->data + a->start, b->data + b->start, bytes_len(a)) == 0;
}

#endif
