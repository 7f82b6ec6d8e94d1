/* SPDX-License-Identifier: ISC */
/* quietly: a write on a connection that may be dead, without the SIGPIPE that its client would not have got on one of its
 * own (signal(7), pthread_sigmask(3)). */
#ifndef HOLDFAST_TLS_QUIETLY_H
#define HOLDFAST_TLS_QUIETLY_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

struct quietly {
    sigset_t before;
    bool pending;
};

static inline void quietly_begin(struct quietly *q)
{
    sigset_t pipe, pending;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &q->before);
    q->pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

/* `failed`: the write may have raised one. */
static inline void quietly_end(struct quietly *q, bool failed)
{
    const struct timespec at_once = { 0, 0 };
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (failed && !q->pending)
        sigtimedwait(&pipe, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &q->before, NULL);
}

#endif
