/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "base/quiet.h"

#include <errno.h>
#include <time.h>

static void fill(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
    sigaddset(set, SIGXFSZ);
}

void quiet_begin(struct quiet *quiet)
{
    sigset_t both;

    fill(&both);
    sigpending(&quiet->pending);
    pthread_sigmask(SIG_BLOCK, &both, &quiet->before);
}

static void take_back(int signal, const sigset_t *pending)
{
    const struct timespec now = { 0, 0 };
    sigset_t one;

    sigemptyset(&one);
    sigaddset(&one, signal);
    if (!sigismember(pending, signal))
        sigtimedwait(&one, NULL, &now);
}

void quiet_end(const struct quiet *quiet, bool failed)
{
    int saved = errno;

    if (failed && saved == EPIPE)
        take_back(SIGPIPE, &quiet->pending);
    if (failed && saved == EFBIG)
        take_back(SIGXFSZ, &quiet->pending);
    pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    errno = saved;
}
