/* SPDX-License-Identifier: ISC */
/* The threads that carry packets.  A ring of bytes holds what is on its way, each packet behind a struct
 * parcel, in the order of arrival, which is that of departure too.  The ring starts anew whenever it
 * is empty, so a quiet wire touches little memory; when it is full, packets wait in the device. */
#define _GNU_SOURCE
#include "delay_wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { RING = 256 << 20, BATCH = 64, PRIORITY = 20, SECOND = 1000000000 };

struct parcel {
    uint64_t due;
    uint32_t size; /* 0: the rest of the ring is not used */
    uint32_t pad;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* Where the next parcel goes, with room for the largest; NULL: no room. */
static struct parcel *room(struct way *way)
{
    const size_t most = sizeof(struct parcel) + MTU_MAX + sizeof(struct parcel);

    if (way->head == way->tail)
        way->head = way->tail = 0;
    if (way->tail >= way->head && RING - way->tail < most) {
        if (way->head <= most)
            return NULL;
        ((struct parcel *)(void *)(way->ring + way->tail))->size = 0;
        way->tail = 0;
    }
    if (way->tail < way->head && way->head - way->tail <= most)
        return NULL;
    return (struct parcel *)(void *)(way->ring + way->tail);
}

/* The oldest parcel, NULL if there is none. */
static struct parcel *oldest(struct way *way)
{
    struct parcel *first = (struct parcel *)(void *)(way->ring + way->head);

    if (way->head == way->tail)
        return NULL;
    if (first->size == 0) {
        way->head = 0;
        return oldest(way);
    }
    return first;
}

static size_t stride(const struct parcel *parcel)
{
    return sizeof(*parcel) + (parcel->size + 7) / 8 * 8;
}

static void take_in(struct way *way)
{
    for (int i = 0; i < BATCH; i++) {
        struct parcel *parcel = room(way);
        ssize_t n = parcel == NULL ? -1 : read(way->from, parcel + 1, MTU_MAX);

        if (n <= 0)
            return;
        parcel->size = (uint32_t)n;
        parcel->due = now_ns() + way->delay_ns;
        way->tail += stride(parcel);
    }
}

/* Nanoseconds until the next one is due; UINT64_MAX: there is none. */
static uint64_t hand_out(struct way *way)
{
    struct parcel *parcel;

    while ((parcel = oldest(way)) != NULL) {
        uint64_t now = now_ns();

        if (parcel->due > now)
            return parcel->due - now;
        if (now - parcel->due > way->late_ns)
            way->late_ns = now - parcel->due;
        if (write(way->to, parcel + 1, parcel->size) != (ssize_t)parcel->size)
            way->lost++;
        way->packets++;
        way->bytes += parcel->size;
        way->head += stride(parcel);
    }
    return UINT64_MAX;
}

static void *run(void *arg)
{
    struct way *way = arg;
    struct sched_param priority = { .sched_priority = PRIORITY };

    prctl(PR_SET_TIMERSLACK, 1);
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority); /* without it: a less exact wire */
    for (;;) {
        uint64_t wait = hand_out(way);
        struct timespec until = { .tv_sec = (time_t)(wait / SECOND), .tv_nsec = (long)(wait % SECOND) };
        struct pollfd p = { .fd = room(way) != NULL ? way->from : -1, .events = POLLIN };

        ppoll(&p, 1, wait == UINT64_MAX ? NULL : &until, NULL);
        if (p.revents != 0)
            take_in(way);
    }
    return NULL;
}

void carry(struct way *way, int from, int to, double delay_ms)
{
    pthread_t thread;

    *way = (struct way){ .from = from, .to = to, .delay_ns = (uint64_t)(delay_ms * 1e6) };
    way->ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (way->ring == MAP_FAILED)
        fail(1, "memory");
    errno = pthread_create(&thread, NULL, run, way);
    if (errno != 0)
        fail(1, "thread");
}
