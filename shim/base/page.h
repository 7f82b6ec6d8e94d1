/* SPDX-License-Identifier: ISC */
/* page: room for bytes on their way, off the stack, which may be small. */
#ifndef HOLDFAST_BASE_PAGE_H
#define HOLDFAST_BASE_PAGE_H

#include "base/block.h"

#include <limits.h>
#include <stddef.h>

struct page {
    char *bytes;
    size_t size; /* PIPE_BUF; less where there is no memory */
    char few[256];
};

static inline void page_take(struct page *page)
{
    page->bytes = block_get(PIPE_BUF, NULL);
    page->size = page->bytes ? PIPE_BUF : sizeof page->few;
    if (!page->bytes)
        page->bytes = page->few;
}

/* errno is left alone. */
static inline void page_return(struct page *page)
{
    if (page->bytes != page->few)
        block_put(page->bytes, PIPE_BUF);
}

#endif
