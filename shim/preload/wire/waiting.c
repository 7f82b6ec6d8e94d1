/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/waiting.h"

#include "preload/conn/deferred.h"
#include "preload/conn/stall.h"
#include "preload/libc/real.h"
#include "preload/libc/signals.h"
#include "preload/share/shared.h"
#include "preload/wire/endwait.h"
#include "preload/conn/withheld.h"
#include "preload/wire/release.h"

static const struct timespec no_time;

static bool may_let_go(void)
{
    return shared_keeps() || stall_any() || withheld_any();
}

bool waiting_is_special(void)
{
    return readiness_any() || deferred_any() || may_let_go();
}

static void let_go(void)
{
    if (shared_keeps())
        shared_give_all();
    if (stall_any())
        stall_relieve();
    if (withheld_any())
        release_due();
}

static bool is_longer(const struct timespec *time, int ms)
{
    return !time || (time->tv_nsec >= 0 && time->tv_nsec < 1000000000L && time->tv_sec >= 0 &&
                     (time->tv_sec > ms / 1000 || (time->tv_sec == ms / 1000 && time->tv_nsec > ms % 1000 * 1000000L)));
}

bool waiting_is_long(const struct timespec *time)
{
    return is_longer(time, WAITING_SHORT_MS);
}

/* How long a turn may last; 0: there is no reason for turns any more. */
static int turn_ms(bool awaits_end)
{
    int ms = shared_keeps() ? WAITING_SHORT_MS : stall_any() ? stall_turn_ms() : 0;

    if (withheld_any() && (ms == 0 || ms > withheld_turn_ms()))
        ms = withheld_turn_ms();
    return awaits_end && (ms == 0 || ms > ENDWAIT_TURN_MS) ? ENDWAIT_TURN_MS : ms;
}

/* What is ready now, if an end that the kernel does not know of is among it; 0: go on; or -1 and errno. */
static int look_at_ends(struct wait *w, const sigset_t *mask)
{
    int ready = 0;

    if (deferred_any() && w->family->deferred(w)) {
        ready = readiness_wait(w, &no_time, mask);
        ready = ready < 0 ? ready : w->family->tell_deferred(w, ready);
    }
    if (!ready)
        deferred_before_wait();
    return ready;
}

static int wait_in_turns(struct wait *w, const struct timespec *time, const sigset_t *mask, bool awaits_end)
{
    struct readiness_time t;
    struct timespec room;
    int result;

    readiness_begin(&t, time);
    for (const struct timespec *left = time;; left = readiness_left(&t)) {
        int ms = turn_ms(awaits_end);
        bool last = ms == 0 || !is_longer(left, ms);
        result = readiness_wait(w, last ? left : readiness_time(ms, &room), mask);
        if (result != 0 || last)
            return result;
        let_go();
        awaits_end = w->family->awaits_end(w);
        if ((result = look_at_ends(w, mask)) != 0)
            return result;
    }
}

int waiting_for(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    bool awaits_end = w->family->awaits_end(w);
    int result = look_at_ends(w, mask);
    sigset_t own;

    if (result != 0)
        return result;
    if (!(may_let_go() || awaits_end) || !waiting_is_long(time) || !w->family->repeats(w))
        return readiness_wait(w, time, mask);
    if (!awaits_end && (result = readiness_wait(w, &no_time, mask)) != 0)
        return result;
    signals_hold(&own);
    result = wait_in_turns(w, time, mask ? mask : &own, awaits_end);
    signals_release(&own);
    return result;
}

bool waiting_interrupted(void)
{
    sigset_t own;

    signals_hold(&own);
    shared_give_all();
    bool interrupted = real.ppoll(NULL, 0, &no_time, &own) < 0;
    signals_release(&own);
    return interrupted;
}
