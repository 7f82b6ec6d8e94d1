/* SPDX-License-Identifier: ISC */
/* lock: a mutex that knows its owner.  A signal handler that interrupts the holder and comes here, or
 * code that left a critical section by longjmp, gets `false` where a plain mutex would hang: the caller
 * then does without (the plain libc call, no lease, no park).  lock_order.h has the order of all locks.
 *
 * Not a pthread mutex: an error-checking one notes its owner after it was locked, in two steps, and a
 * signal handler between them hangs for ever. */
#ifndef HOLDFAST_BASE_LOCK_H
#define HOLDFAST_BASE_LOCK_H

#include "base/lock_order.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
    _Atomic uint32_t word; /* 0: free, and so is a lock of zeros */
#ifdef HOLDFAST_DEBUG
    enum lock_rank rank; /* of a lock of zeros: a conn's */
#endif
};

/* What a lock that lies in a file of its own begins as: `struct lock pool_lock = LOCK_FREE(pool_lock);`. */
#ifdef HOLDFAST_DEBUG
#define LOCK_FREE(name) { 0, LOCK_##name }
#else
#define LOCK_FREE(name) { 0 }
#endif

/* Does the process have one thread?  Then a lock needs no locked instruction: only this thread's signal
 * handlers can come in between, and they leave it as they found it.  Where libc does not say
 * (__libc_single_threaded: glibc 2.32), no. */
extern char __libc_single_threaded __attribute__((weak));
static inline bool lock_alone(void)
{
    return &__libc_single_threaded && __libc_single_threaded;
}

/* Also resets a lock in the child of a fork, whoever held it in the parent. */
void lock_init(struct lock *lock);

/* Unique among the threads of a process; kept by the one that forks.  0: none yet. */
extern __thread uint32_t lock_own_number;

/* What lock_take and lock_give do where others may want the lock. */
bool lock_take_among(struct lock *lock);
void lock_give_among(struct lock *lock);

/* Of a thread that is alone.  False: not so easily. */
static inline bool lock_take_alone(struct lock *lock)
{
    uint32_t own = lock_own_number;

    lock_order_wants(lock);
    if (!own || atomic_load_explicit(&lock->word, memory_order_relaxed))
        return false;
    atomic_store_explicit(&lock->word, own, memory_order_relaxed);
    atomic_signal_fence(memory_order_acquire);
    lock_order_has(lock);
    return true;
}

/* False: this thread holds it already.  errno is left alone. */
static inline bool lock_take(struct lock *lock)
{
    return (lock_alone() && lock_take_alone(lock)) || lock_take_among(lock);
}

static inline void lock_give(struct lock *lock)
{
    lock_order_gave(lock);
    if (lock_alone()) /* nobody is asleep */
        atomic_store_explicit(&lock->word, 0, memory_order_release);
    else
        lock_give_among(lock);
}

/* This thread holds it: a signal handler has interrupted the holder, or it left by longjmp. */
bool lock_mine(const struct lock *lock);

/* Another thread holds it.  In the child of a fork: it was in the middle of something that nobody will finish. */
bool lock_is_others(const struct lock *lock);

#endif
