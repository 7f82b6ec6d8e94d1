/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/room.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

struct room {
    struct room *next;
    size_t size;
    pid_t owner;
    _Alignas(max_align_t) char bytes[];
};
static __thread struct room *rooms; /* the last one first */

static void drop_first(void)
{
    struct room *first = rooms;

    rooms = first->next;
    munmap(first, first->size);
}

/* What a vfork child has left behind.  Those of a parent are still in use: this may be its vfork child. */
static void drop_left_behind(void)
{
    while (rooms && rooms->owner != getpid() && rooms->owner != getppid())
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
    *room = (struct room){ .next = rooms, .size = whole, .owner = getpid() };
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
