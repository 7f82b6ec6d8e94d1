/* lock: a mutex that knows its owner.  A signal handler that interrupts the holder and comes here, or
 * code that left a critical section by longjmp, gets `false` where a plain mutex would hang: the caller
 * then does without (the plain libc call, no lease, no park).  Leaf locks only.
 *
 * Not a pthread mutex: an error-checking one notes its owner after it was locked, in two steps, and a
 * signal handler between them hangs for ever. */
#ifndef HOLDFAST_BASE_LOCK_H
#define HOLDFAST_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
    _Atomic uint32_t word; /* 0: free, and so is a lock of zeros */
};

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

/* False: this thread holds it already.  errno is left alone. */
bool lock_take(struct lock *lock);
void lock_give(struct lock *lock);

/* This thread holds it: a signal handler has interrupted the holder, or it left by longjmp. */
bool lock_mine(const struct lock *lock);

#endif
