/* SPDX-License-Identifier: ISC */
/* Small blocks are cut from chunks, large ones come from the kernel one by one; both return to a list
 * of their size.  A caller that finds the lock held by its own thread (a signal handler) gets a block
 * straight from the kernel, and what it puts back waits among the strays for the next holder. */
#define _GNU_SOURCE
#include "base/block.h"

#include "base/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#define LEAST_SHIFT 6
#define MOST_SHIFT 18
#define CHUNK_SIZE 262144u
#define ALONE_SIZE 32768u /* from here on not cut from a chunk */

/* The beginning of a block that is not in use. */
struct spare {
    struct spare *next;
    size_t cap;
};

static struct lock block_lock = LOCK_FREE(block_lock);
static _Atomic int changing; /* the lists are being changed: after a fork they may be torn */
static struct spare *spares[MOST_SHIFT + 1];
static _Atomic(struct spare *) strays;
static char *chunk;
static size_t chunk_left;

static unsigned shift_for(size_t size)
{
    unsigned shift = LEAST_SHIFT;

    while (((size_t)1 << shift) < size)
        shift++;
    return shift;
}

static void *from_kernel(size_t size)
{
    int saved = errno;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    errno = saved;
    return memory == MAP_FAILED ? NULL : memory;
}

static void *cut(size_t size)
{
    char *block;

    if (size >= ALONE_SIZE)
        return from_kernel(size);
    if (chunk_left < size) {
        char *fresh = from_kernel(CHUNK_SIZE);

        if (!fresh)
            return NULL;
        chunk = fresh;
        chunk_left = CHUNK_SIZE;
    }
    block = chunk;
    chunk += size;
    chunk_left -= size;
    return block;
}

static void file_spare(struct spare *spare)
{
    struct spare **list = &spares[shift_for(spare->cap)];

    spare->next = *list;
    *list = spare;
}

static void file_strays(void)
{
    struct spare *next;

    if (!atomic_load_explicit(&strays, memory_order_relaxed))
        return;
    for (struct spare *stray = atomic_exchange(&strays, NULL); stray; stray = next) {
        next = stray->next;
        file_spare(stray);
    }
}

static void *take_block(unsigned shift)
{
    struct spare *spare;

    file_strays();
    spare = spares[shift];
    if (!spare)
        return cut((size_t)1 << shift);
    spares[shift] = spare->next;
    return spare;
}

/* Seen by the child of a fork in this order. */
static void begin_change(void)
{
    atomic_store_explicit(&changing, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end_change(void)
{
    atomic_store_explicit(&changing, 0, memory_order_release);
}

void *block_get(size_t size, size_t *cap)
{
    unsigned shift;
    void *block;

    if (size > BLOCK_MAX)
        return NULL;
    shift = shift_for(size);
    if (cap)
        *cap = (size_t)1 << shift;
    if (!lock_take(&block_lock))
        return from_kernel((size_t)1 << shift);
    begin_change();
    block = take_block(shift);
    end_change();
    lock_give(&block_lock);
    return block;
}

void block_put(void *block, size_t cap)
{
    struct spare *spare = block;

    if (!block)
        return;
    spare->cap = cap;
    if (!lock_take(&block_lock)) {
        spare->next = atomic_load(&strays);
        while (!atomic_compare_exchange_weak(&strays, &spare->next, spare))
            ;
        return;
    }
    begin_change();
    file_spare(spare);
    end_change();
    lock_give(&block_lock);
}

void block_after_fork(void)
{
    if (atomic_load(&changing)) {
        for (unsigned i = 0; i <= MOST_SHIFT; i++)
            spares[i] = NULL;
        atomic_store(&strays, NULL);
        chunk_left = 0;
        atomic_store(&changing, 0);
    }
    lock_init(&block_lock);
}
