/* SPDX-License-Identifier: ISC */
/* signals: held back from this thread, all of them, for a moment. */
#ifndef HOLDFAST_PRELOAD_SIGNALS_H
#define HOLDFAST_PRELOAD_SIGNALS_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>

/* *mask is for signals_release, and for calls that let them through while they wait. */
static inline void signals_hold(sigset_t *mask)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, mask);
}

/* errno is left alone. */
static inline void signals_release(const sigset_t *mask)
{
    int saved = errno;

    pthread_sigmask(SIG_SETMASK, mask, NULL);
    errno = saved;
}

#endif
