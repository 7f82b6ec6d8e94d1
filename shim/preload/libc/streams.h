/* SPDX-License-Identifier: ISC */
/* streams: glibc's lock of the list of all FILEs.  fflush(NULL) and exit hold it while they write, so while they are in our
 * hooks; and fork(2) takes it behind the handlers of pthread_atfork(3).  Whoever forks and holds locks of ours by then
 * would wait for a thread that waits for those: so it is taken first (life/fork.c). */
#ifndef HOLDFAST_PRELOAD_STREAMS_H
#define HOLDFAST_PRELOAD_STREAMS_H

#include <stddef.h>

/* Recursive, as fork takes it once more.  Exported since glibc 2.2.5; other libcs have nothing of the kind. */
extern void _IO_list_lock(void) __attribute__((weak));
/* What that took. */
extern void _IO_list_unlock(void) __attribute__((weak));
/* Free, whoever held it. */
extern void _IO_list_resetlock(void) __attribute__((weak));

static inline void streams_lock(void)
{
    if (&_IO_list_lock)
        _IO_list_lock();
}

static inline void streams_unlock(void)
{
    if (&_IO_list_unlock)
        _IO_list_unlock();
}

/* In the child of a fork, where no other thread holds it. */
static inline void streams_reset(void)
{
    if (&_IO_list_resetlock)
        _IO_list_resetlock();
}

#endif
