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
    quiet_end_of(quiet, !failed ? 0 : errno == EPIPE ? SIGPIPE : errno == EFBIG ? SIGXFSZ : 0);
}

void quiet_end_of(const struct quiet *quiet, int signal)
{
    int saved = errno;

    if (signal)
        take_back(signal, &quiet->pending);
    pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    errno = saved;
}
