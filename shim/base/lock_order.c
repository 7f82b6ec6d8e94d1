/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "base/lock_order.h"

#ifdef HOLDFAST_DEBUG

#include "base/debug.h"
#include "base/lock.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <execinfo.h>
#endif

#define NAME(name) #name,
static const char *const names[] = { LOCK_ORDER(NAME, NAME) };
#undef NAME

static __thread unsigned held[LOCK_RANKS];

/* Is a signal handler at work in this thread?  The kernel has put a return into rt_sigreturn(2) below it.  Where nobody can
 * tell, yes: then nothing is asserted. */
static bool in_handler(void)
{
#if defined __GLIBC__ && defined __x86_64__
    static const unsigned char trampoline[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 }; /* rax = 15; syscall */
    enum { FRAMES = 128 };
    void *frames[FRAMES];
    int n = backtrace(frames, FRAMES);

    for (int i = 1; i < n; i++)
        if (memcmp(frames[i], trampoline, sizeof trampoline) == 0)
            return true;
    return n <= 1;
#else
    return true;
#endif
}

static bool allows(enum lock_rank wanted)
{
    for (unsigned rank = wanted + 1; rank < LOCK_RANKS; rank++)
        if (held[rank])
            return false;
    return !held[wanted] || (wanted == LOCK_conn_lock && lock_alone());
}

static void tell(enum lock_rank wanted)
{
    char text[500];
    int len = snprintf(text, sizeof text, "holdfast: %s is taken by a thread that holds", names[wanted]);

    for (unsigned rank = 0; rank < LOCK_RANKS; rank++)
        if (held[rank])
            len += snprintf(text + len, sizeof text - (size_t)len, " %s", names[rank]);
    text[len++] = '\n';
    syscall(SYS_write, STDERR_FILENO, text, (size_t)len);
}

void lock_order_wants(const struct lock *lock)
{
    if (lock_mine(lock) || allows(lock->rank) || in_handler())
        return;
    tell(lock->rank);
    debug_assert(allows(lock->rank));
}

/* A thread that is cancelled takes its locks with it: all others would wait for ever.  Nothing that is done under these is a
 * cancellation point; a conn's lock has its own care (conn.c). */
static bool is_short(enum lock_rank rank)
{
    return rank == LOCK_conn_lock || rank == LOCK_conn_arena_lock || rank == LOCK_block_lock;
}

static bool can_be_cancelled(void)
{
    int state;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_setcancelstate(state, NULL);
    return state == PTHREAD_CANCEL_ENABLE;
}

void lock_order_has(const struct lock *lock)
{
    if (!is_short(lock->rank) && !lock_alone() && can_be_cancelled()) {
        tell(lock->rank);
        debug_assert(!"the thread can be cancelled");
    }
    held[lock->rank]++;
}

void lock_order_gave(const struct lock *lock)
{
    if (held[lock->rank])
        held[lock->rank]--;
}

void lock_order_reset(const struct lock *lock)
{
    held[lock->rank] = 0;
}

#endif
