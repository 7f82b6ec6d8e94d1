/* SPDX-License-Identifier: ISC */
/* guard: test input that ends right before an unreadable page, so that any look behind its end
 * is a fault even where a sanitizer does not see it.  With GUARD_HEAP: a heap block of just its size, so
 * that the sanitizer sees looks before its beginning, too. */
#ifndef UNIT_HTTP_GUARD_H
#define UNIT_HTTP_GUARD_H

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_ROOM (256u * 1024)

/* The end of the room before the guard page. */
static inline char *guard_end(void)
{
    static char *end;

    if (!end) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *map = mmap(NULL, GUARD_ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert(map != MAP_FAILED);
        end = map + GUARD_ROOM;
        assert(mprotect(end, page, PROT_NONE) == 0);
    }
    return end;
}

static inline char *guard_room(size_t len)
{
#ifdef GUARD_HEAP
    static char *block;

    free(block);
    block = malloc(len);
    return block;
#else
    assert(len <= GUARD_ROOM);
    return guard_end() - len;
#endif
}

/* A copy of the bytes with `room` bytes of 0xAA behind them, and then what must not be touched.  Valid
 * until the next call. */
static inline char *guard_put(const void *bytes, size_t len, size_t room)
{
    char *at = guard_room(len + room);

    if (len > 0)
        memmove(at, bytes, len);
    memset(at + len, 0xAA, room);
    return at;
}

#endif
