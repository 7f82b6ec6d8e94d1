/* SPDX-License-Identifier: ISC */
/* cancel: a stretch of code in which the calling thread is not cancelled.  Stretches may lie in one another. */
#ifndef HOLDFAST_PRELOAD_CANCEL_H
#define HOLDFAST_PRELOAD_CANCEL_H

#include "base/lock.h"

#include <pthread.h>

enum {
    CANCEL_ASYNCHRONOUS = 16, /* besides a pthread_setcancelstate state */
    CANCEL_ALONE = 32,        /* nothing was changed: a thread that is alone is cancelled by nobody but itself, in a
                                 signal handler; what it held then is found as after a pthread_exit there */
};

/* Until no cancellation is on its way to this thread, whose type was asynchronous until now.  It may end in
 * here. */
void cancel_deliver(void);

/* The answer is for cancel_allow.  A thread that was cancelled before may end in here. */
static inline int cancel_forbid(void)
{
    int type, state;

    if (lock_alone())
        return CANCEL_ALONE;
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
    if (type == PTHREAD_CANCEL_ASYNCHRONOUS)
        cancel_deliver();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    return type == PTHREAD_CANCEL_ASYNCHRONOUS ? state | CANCEL_ASYNCHRONOUS : state;
}

/* In this order: glibc (2.36) ends a thread that it finds cancelled in pthread_setcancelstate without the result
 * PTHREAD_CANCELED, in pthread_setcanceltype with it. */
static inline void cancel_allow(int before)
{
    if (before == CANCEL_ALONE)
        return;
    pthread_setcancelstate(before & ~CANCEL_ASYNCHRONOUS, NULL);
    if (before & CANCEL_ASYNCHRONOUS)
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
}

#endif
