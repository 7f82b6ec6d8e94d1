/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/room.h"

#include "preload/self/self.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

struct room {
    struct room *next;
    size_t size;
    bool child; /* taken by a vfork child */
    _Alignas(max_align_t) char bytes[];
};
static __thread struct room *rooms; /* the last one first */

static void drop_first(void)
{
    struct room *first = rooms;

    rooms = first->next;
    munmap(first, first->size);
}

/* What a vfork child has left behind. */
static void drop_left_behind(void)
{
    while (rooms && rooms->child && self_is_ours())
        drop_first();
}

const void *room_mark(void)
{
    int saved = errno;

    drop_left_behind();
    errno = saved;
    return rooms;
}

void *room_take(size_t size)
{
    int saved = errno;
    size_t whole = sizeof(struct room) + size;
    struct room *room = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    errno = saved;
    if (room == MAP_FAILED)
        return NULL;
    *room = (struct room){ .next = rooms, .size = whole, .child = !self_is_ours() };
    rooms = room;
    return room->bytes;
}

void room_return(const void *mark)
{
    int saved = errno;

    while (rooms && rooms != mark)
        drop_first();
    errno = saved;
}
