/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/conn.h"

#include "base/block.h"
#include "preload/libc/cancel.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { CHUNK = 16 }; /* conns made at a time */

struct chunk {
    struct chunk *next;
    struct conn conns[CHUNK];
};

_Static_assert(sizeof(struct conn) <= CONN_PRIVATE_BYTES && CONN_FREE == 0, "what CONN_PRIVATE leads to is read as a free conn");

/* A thread that is cancelled in a real call leaves by its destructor (see thread_ended_inside). */
static __thread struct {
    struct conn *inside_of, *locked;
    bool watched;            /* the destructor will be called */
    void (*other_end)(void); /* and calls this, too */
} thread;

struct lock conn_arena_lock = LOCK_FREE(conn_arena_lock);

static struct {
    bool ready;
    pthread_key_t thread_end;
    struct conn *free_list;
    struct chunk *_Atomic chunks; /* the newest, whole; the others behind it stay as they are */
} arena;

static bool grow(void)
{
    struct chunk *chunk = block_get(sizeof *chunk, NULL);

    if (!chunk)
        return false;
    memset(chunk, 0, sizeof *chunk);
    for (int i = 0; i < CHUNK; i++) {
        chunk->conns[i].next_free = arena.free_list;
        arena.free_list = &chunk->conns[i];
    }
    chunk->next = arena.chunks;
    arena.chunks = chunk;
    return true;
}

static void recycle(struct conn *c)
{
    hold_clear(&c->request.bytes);
    hold_clear(&c->reply.bytes);
    hold_clear(&c->request.rest);
    hold_clear(&c->request.behind);
    options_clear(&c->options);
    if (!lock_take(&conn_arena_lock))
        return;
    c->next_free = arena.free_list;
    arena.free_list = c;
    lock_give(&conn_arena_lock);
}

static struct conn *take_free(void)
{
    struct conn *c = NULL;

    if (!arena.ready || !lock_take(&conn_arena_lock))
        return NULL;
    if (arena.free_list || grow()) {
        c = arena.free_list;
        arena.free_list = c->next_free;
    }
    lock_give(&conn_arena_lock);
    return c;
}

/* The lock stays as it is: another thread may hold it that came by a stale pointer. */
static void reset(struct conn *c)
{
    unsigned generation = c->fds.generation;
    size_t from = offsetof(struct conn, use), x = offsetof(struct conn, x), behind = x + sizeof c->x;

    memset((char *)c + from, 0, x - from); /* exchange_init does x */
    memset((char *)c + behind, 0, offsetof(struct conn, registrations.set) - behind);
    c->fds.generation = generation + 1;
    c->fds.private_fd = -1;
    c->idle.max_left = -1;
    exchange_init(&c->x);
}

struct conn *conn_make(int fd, bool cloexec, enum conn_state state)
{
    struct conn *c = take_free();

    if (!c)
        return NULL;
    /* Under the lock: conn_drop_stale, in another thread, may still have a pointer to what this conn was before.  Half
     * made, without a number, it would be given back there. */
    if (!lock_take(&c->lock)) { /* a signal handler has interrupted the holder */
        recycle(c);
        return NULL;
    }
    reset(c);
    conn_set_state(c, state);
    c->fds.numbers[0] = (struct conn_fd){ .fd = fd, .cloexec = cloexec };
    c->fds.count = 1;
    atomic_store_explicit(&conn_table[fd], c, memory_order_release);
    lock_give(&c->lock);
    return c;
}

void conn_watch_thread(void (*ends)(void))
{
    if (ends)
        thread.other_end = ends;
    if (!thread.watched)
        thread.watched = pthread_setspecific(arena.thread_end, &thread.watched) == 0;
}

static struct conn *lock_one(int fd)
{
    for (;;) {
        /* Acquired, so that a conn made by another thread is seen whole. */
        struct conn *c = (unsigned)fd < CONN_TABLE_SIZE
                             ? atomic_load_explicit(&conn_table[fd], memory_order_acquire)
                             : NULL;
        if (!c || c == CONN_PRIVATE || !lock_take(&c->lock))
            return NULL;
        if (conn_find(fd) == c)
            return c;
        lock_give(&c->lock);
    }
}

/* Of a thread that is alone, and has entered one before.  NULL: not so easily. */
static inline struct conn *enter_alone(int fd)
{
    struct conn *c = (unsigned)fd < CONN_TABLE_SIZE && lock_alone() && thread.watched ? conn_find(fd) : NULL;

    if (!c || c == CONN_PRIVATE || !lock_take_alone(&c->lock))
        return NULL;
    if (conn_find(fd) == c) {
        thread.locked = c;
        c->use.cancel = CANCEL_ALONE;
        return c;
    }
    lock_give(&c->lock); /* a signal handler came in between */
    return NULL;
}

static __attribute__((noinline)) struct conn *enter_among(int fd)
{
    int state = cancel_forbid();
    struct conn *c = lock_one(fd);

    if (c) {
        conn_watch_thread(NULL);
        thread.locked = c;
        c->use.cancel = state;
    } else {
        cancel_allow(state);
    }
    return c;
}

struct conn *conn_lock(int fd)
{
    struct conn *c = enter_alone(fd);

    return c ? c : enter_among(fd);
}

static __attribute__((noinline)) void give_back(struct conn *c)
{
    conn_set_free(c);
    lock_give(&c->lock);
    recycle(c);
}

/* A conn goes back when it has no number and no thread is inside a real call for it.  Nothing of it stays. */
void conn_leave(struct conn *c)
{
    if (c->use.unfinished)
        conn_finish(c);
    int state = c->use.cancel;

    atomic_store_explicit(&c->use.busy_answers, 0, memory_order_relaxed);
    thread.locked = NULL;
    if (c->fds.count == 0 && c->use.inside == 0 && c->state != CONN_FREE)
        give_back(c);
    else
        lock_give(&c->lock);
    cancel_allow(state);
}

const void *conn_self(void)
{
    return &thread.inside_of;
}

/* The thread ends and was still inside a real call.  What it held is free again; the connection is not
 * trusted any more.  Even under the lock: a signal handler may have called pthread_exit. */
static void thread_ended_inside(void *unused)
{
    struct conn *c = thread.locked;

    thread.watched = false;
    if (thread.other_end)
        thread.other_end();
    if (c && lock_mine(&c->lock)) { /* nobody knows how far it came: libc alone has the socket now */
        conn_bypass(c, REASON_busy_thread);
        conn_leave(c);
    }
    c = thread.inside_of;
    thread.inside_of = thread.locked = NULL;
    if (!c || !lock_take(&c->lock))
        return;
    c->use.cancel = cancel_forbid();
    if (c->use.inside) { /* not so in the child of a fork */
        c->use.inside--;
        conn_forbid_parking(c, REASON_busy_thread);
    }
    if (c->use.reader == conn_self())
        c->use.reader = NULL;
    conn_leave(c);
}

void conn_outside_begin(struct conn *c)
{
    int state = c->use.cancel;

    if (c->use.unfinished)
        conn_finish(c);
    thread.locked = NULL;
    thread.inside_of = c;
    c->use.inside++;
    lock_give(&c->lock);
    cancel_allow(state);
}

void conn_outside_end(struct conn *c)
{
    int state = cancel_forbid();

    lock_take(&c->lock);
    thread.inside_of = NULL;
    thread.locked = c;
    c->use.cancel = state;
    c->use.inside--;
}

bool conn_wait_for_reconnect(struct conn *c, int most_ms)
{
    enum { NAPS_IN_MS = 5 };
    const struct timespec nap = { 0, 1000000 / NAPS_IN_MS };
    int left = most_ms * NAPS_IN_MS;

    for (; c->use.reconnecting && c->use.reconnecting != conn_self() && c->fds.count; left--) {
        if (left == 0)
            return false;
        conn_outside_begin(c);
        real.nanosleep(&nap, NULL);
        conn_outside_end(c);
    }
    return true;
}

void conn_each(void (*each)(struct conn *c))
{
    for (struct chunk *chunk = arena.chunks; chunk; chunk = chunk->next)
        for (int i = 0; i < CHUNK; i++)
            if (chunk->conns[i].state != CONN_FREE)
                each(&chunk->conns[i]);
}

static bool enter_one(struct conn *c)
{
    int state = cancel_forbid();
    if (!lock_take(&c->lock)) {
        cancel_allow(state);
        return false;
    }
    conn_watch_thread(NULL);
    thread.locked = c;
    c->use.cancel = state;
    if (c->fds.count && conn_owns(c, c->fds.numbers[0].fd))
        return true;
    conn_leave(c);
    return false;
}

void conn_each_entered(bool all, bool (*each)(struct conn *c, void *arg), void *arg)
{
    bool done = false;

    for (struct chunk *chunk = arena.chunks; chunk && !done; chunk = chunk->next)
        for (int i = 0; i < CHUNK && !done; i++) {
            struct conn *c = &chunk->conns[i];
            if (!(all || atomic_load_explicit(&c->borrowed, memory_order_relaxed)) || !enter_one(c))
                continue;
            done = (all || c->borrowed) && each(c, arg);
            conn_leave(c);
        }
}

void conn_init(void)
{
    arena.ready = pthread_key_create(&arena.thread_end, thread_ended_inside) == 0;
}

/* Half changed: nothing of it can be relied on, and what it points to stays where it is. */
static void abandon(struct conn *c)
{
    for (int i = 0; i < CONN_FDS; i++) {
        struct conn *known = c;
        if ((unsigned)c->fds.numbers[i].fd < CONN_TABLE_SIZE)
            atomic_compare_exchange_strong(&conn_table[c->fds.numbers[i].fd], &known, NULL);
    }
    if (atomic_exchange(&c->borrowed, false))
        atomic_fetch_sub(&conn_borrowed, 1);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    c->fds.count = 0;
    c->state = CONN_FREE;
}

void conn_after_fork(void)
{
    for (struct chunk *chunk = arena.chunks; chunk; chunk = chunk->next)
        for (int i = 0; i < CHUNK; i++) {
            if (lock_is_others(&chunk->conns[i].lock))
                abandon(&chunk->conns[i]);
            lock_init(&chunk->conns[i].lock);
            chunk->conns[i].use.reconnecting = NULL;
            atomic_store(&chunk->conns[i].polled, 0);
        }
}
