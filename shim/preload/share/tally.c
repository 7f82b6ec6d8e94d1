/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/share/tally.h"

#include "base/lock.h"
#include "base/stats.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_MS = 100 };

/* X(on the board, in the statistics) */
#define COUNTED(X)                                                                                    \
    X(requests, requests) X(connects, connects) X(fresh, fresh) X(leased, leased) X(parked, parked) \
    X(taken, shared_taken) X(given, shared_given)

struct lock tally_adding = LOCK_FREE(tally_adding);

static struct {
    int board_fd;
    struct board *_Atomic board;
    atomic_bool ended;
    _Atomic uint64_t last_ms;
    struct { /* what was added already; in the child of a fork, which counts anew, nothing was */
        pid_t pid;
#define X(name, counter) unsigned long name;
        COUNTED(X)
#undef X
        unsigned long reasons[REASON_count];
    } added;
} our = { .board_fd = -1 };

void tally_start(int fd)
{
    our.board_fd = fd;
}

/* A reader in another thread finds memory there at any moment.  If there is no memory for it (ENOMEM), the board stays
 * mapped: it holds counters and hints. */
static void take_away(struct board *mapped)
{
    (void)mmap(mapped, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

struct board *tally_board(void)
{
    struct board *mapped = atomic_load_explicit(&our.board, memory_order_acquire), *none = NULL;

    if (mapped || our.ended || !private_is(our.board_fd) || !(mapped = board_map(our.board_fd)))
        return mapped;
    if (!atomic_compare_exchange_strong(&our.board, &none, mapped)) { /* another thread was first */
        munmap(mapped, sizeof *mapped);
        return none;
    }
    if (atomic_load(&our.ended))
        take_away(mapped);
    return mapped;
}

void tally_end(void)
{
    atomic_store(&our.ended, true);
    struct board *mapped = atomic_load(&our.board);
    if (mapped)
        take_away(mapped);
}

static void add(_Atomic uint64_t *to, atomic_ulong *counter, unsigned long *before)
{
    unsigned long now = atomic_load_explicit(counter, memory_order_relaxed);

    if (now != *before)
        atomic_fetch_add_explicit(to, (uint64_t)now - *before, memory_order_relaxed);
    *before = now;
}

static void add_all(struct board *to)
{
    pid_t pid = getpid();

    if (our.added.pid != pid)
        memset(&our.added, 0, sizeof our.added);
    our.added.pid = pid;
#define X(name, counter) add(&to->name, &stats.counter, &our.added.name);
    COUNTED(X)
#undef X
    for (unsigned i = 0; i < REASON_count; i++)
        add(&to->reasons[i], &stats.reasons[i], &our.added.reasons[i]);
}

/* Not at the very first time: most processes end before there is a second one. */
static bool is_due(void)
{
    uint64_t now = self_coarse_ms();
    uint64_t last = atomic_load_explicit(&our.last_ms, memory_order_relaxed);

    if (last && now - last < EVERY_MS)
        return false;
    atomic_store_explicit(&our.last_ms, now, memory_order_relaxed);
    return last != 0;
}

/* Before the first connect or park there is nothing to tell. */
static bool has_news(void)
{
    return atomic_load_explicit(&stats.connects, memory_order_relaxed) != our.added.connects ||
           atomic_load_explicit(&stats.parked, memory_order_relaxed) != our.added.parked ||
           atomic_load_explicit(&stats.shared_given, memory_order_relaxed) != our.added.given;
}

void tally(bool now)
{
    if (our.board_fd < 0 || !(now || is_due()) || !lock_take(&tally_adding))
        return;
    struct board *to = !now || has_news() ? tally_board() : NULL;
    if (to)
        add_all(to);
    lock_give(&tally_adding);
}
