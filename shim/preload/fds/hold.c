/* SPDX-License-Identifier: ISC */
#include "preload/fds/hold.h"

#include "base/block.h"

#include <string.h>

bool hold_reserve(struct hold *h, size_t len)
{
    size_t used = h->end, cap;

    if (h->data && h->cap - used >= len)
        return true;
    char *data = block_get(used + len, &cap);
    if (!data)
        return false;
    if (h->data) {
        memcpy(data, h->data, used);
        block_put(h->data, h->cap);
    }
    h->data = data;
    h->cap = cap;
    return true;
}

bool hold_append(struct hold *h, const char *bytes, size_t len)
{
    if (!hold_reserve(h, len))
        return false;
    memcpy(h->data + h->end, bytes, len);
    h->end += len;
    return true;
}

void hold_give(struct hold *h)
{
    block_put(h->data, h->cap);
    memset(h, 0, sizeof *h);
}
