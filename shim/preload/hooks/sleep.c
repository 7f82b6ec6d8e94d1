/* SPDX-License-Identifier: ISC */
/* Sleeping.  Who sleeps for long has no use for the idle connections that it kept: they are given away before. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/conn/deferred.h"
#include "preload/share/shared.h"
#include "preload/libc/signals.h"
#include "preload/wire/release.h"
#include "preload/wire/waiting.h"

#include <limits.h>
#include <time.h>
#include <unistd.h>

/* Is the sleep over before it begins? */
static bool is_over(const struct timespec *time)
{
    deferred_before_wait();
    release_before_sleep(time);
    if (!waiting_is_long(time))
        return false;
    shared_sweep();
    return shared_keeps() && waiting_interrupted();
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
    if (time && is_over(time))
        return (int)hook_result(-hook_unslept(left, time, sizeof *time));
    return real.nanosleep(time, left);
}

int usleep(unsigned us)
{
    const struct timespec time = { us / 1000000, us % 1000000 * 1000L };

    return is_over(&time) ? (int)hook_result(-EINTR) : real.usleep(us);
}

unsigned sleep(unsigned seconds)
{
    const struct timespec time = { (time_t)(seconds > INT_MAX ? INT_MAX : seconds), 0 };

    return is_over(&time) ? seconds : real.sleep(seconds);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    bool until = flags & TIMER_ABSTIME;

    if (time && is_over(until ? NULL : time))
        return hook_unslept(until ? NULL : left, time, sizeof *time);
    return real.clock_nanosleep(clock, flags, time, left);
}

int pause(void)
{
    deferred_before_wait();
    release_before_sleep(NULL);
    if (!shared_keeps())
        return real.pause();
    sigset_t own;
    signals_hold(&own);
    shared_give_all();
    sigsuspend(&own);
    signals_release(&own);
    return -1;
}
