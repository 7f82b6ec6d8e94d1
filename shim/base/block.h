/* SPDX-License-Identifier: ISC */
/* block: memory without malloc, for code that also runs inside malloc, before main and after fork.
 * Blocks of a power of two from 64 B to 256 KiB, from mmap; freed blocks are kept for reuse and their
 * memory never turns into anything else, so a stale pointer to one still points at a block. */
#ifndef HOLDFAST_BASE_BLOCK_H
#define HOLDFAST_BASE_BLOCK_H

#include <stddef.h>

#define BLOCK_MAX 262144u

/* Zeroed only when fresh from the kernel.  NULL if size > BLOCK_MAX or there is no memory.  *cap (may
 * be NULL) is the size really given.  errno is left alone. */
void *block_get(size_t size, size_t *cap);
void block_put(void *block, size_t cap);

/* In the child of a fork. */
void block_after_fork(void);

#endif
