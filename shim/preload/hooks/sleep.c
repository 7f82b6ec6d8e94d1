/* Sleeping.  Who sleeps for long has no use for the idle connections that it kept: they are given away before. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/conn/deferred.h"
#include "preload/share/shared.h"
#include "preload/libc/signals.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_MS = 20 };

/* A time that the kernel will refuse is not. */
static bool is_long(const struct timespec *time)
{
    return time && time->tv_nsec >= 0 && time->tv_nsec < 1000000000L &&
           (time->tv_sec > 0 || (time->tv_sec == 0 && time->tv_nsec > SHORT_MS * 1000000L));
}

bool hook_wait_interrupted(void)
{
    const struct timespec none = { 0 };
    sigset_t own;
    signals_hold(&own);
    shared_give_all();
    bool interrupted = real.ppoll(NULL, 0, &none, &own) < 0;
    signals_release(&own);
    return interrupted;
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
    deferred_before_wait();
    if (shared_keeps() && is_long(time) && hook_wait_interrupted()) {
        if (left)
            *left = *time;
        errno = EINTR;
        return -1;
    }
    return real.nanosleep(time, left);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    deferred_before_wait();
    bool until = flags & TIMER_ABSTIME;
    if (shared_keeps() && (until || is_long(time)) && hook_wait_interrupted()) {
        if (left && !until)
            *left = *time;
        return EINTR;
    }
    return real.clock_nanosleep(clock, flags, time, left);
}

int usleep(unsigned us)
{
    deferred_before_wait();
    if (us > SHORT_MS * 1000 && shared_keeps() && hook_wait_interrupted()) {
        errno = EINTR;
        return -1;
    }
    return real.usleep(us);
}

unsigned sleep(unsigned seconds)
{
    deferred_before_wait();
    if (seconds > 0 && shared_keeps() && hook_wait_interrupted())
        return seconds;
    return real.sleep(seconds);
}

int pause(void)
{
    deferred_before_wait();
    if (!shared_keeps())
        return real.pause();
    sigset_t own;
    signals_hold(&own);
    shared_give_all();
    sigsuspend(&own);
    signals_release(&own);
    return -1;
}
