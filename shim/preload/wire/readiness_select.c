/* SPDX-License-Identifier: ISC */
/* select(2) empties its sets when the time is over: what is called more than once begins each time with what the client
 * gave. */
#define _GNU_SOURCE
#include "preload/wire/readiness.h"

#include "preload/conn/deferred.h"
#include "preload/libc/real.h"
#include "preload/wire/listening.h"
#include "preload/wire/readiness_kinds.h"

#include <string.h>

enum { IN, OUT, SETS = 3 };

static fd_set *saved(const struct wait *w, int i)
{
    return (fd_set *)(void *)(w->select.saved + (size_t)i * readiness_words(w->select.n));
}

/* False: too many to be saved. */
static bool save(struct wait *w)
{
    const int n = w->select.n;

    if (w->select.is_saved)
        return true;
    if (n <= 0 || n > READINESS_SELECTED)
        return false;
    w->select.is_saved = true;
    for (int i = 0; i < SETS; i++)
        if (w->select.given[i])
            memcpy(saved(w, i), w->select.given[i], readiness_words(n) * sizeof(long));
    return true;
}

static void restore(const struct wait *w)
{
    for (int i = 0; i < SETS && w->select.is_saved; i++)
        if (w->select.given[i])
            memcpy(w->select.given[i], saved(w, i), readiness_words(w->select.n) * sizeof(long));
}

static int call_pselect(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    fd_set *const *given = w->select.given;
    const struct listening_sets sets = { w->select.n, { given[IN], given[OUT], given[2] } };

    restore(w);
    return listening_pselect(&sets, time, mask, &w->again);
}

static int call_select(struct wait *w, const struct timespec *time, const sigset_t *mask)
{
    fd_set *const *given = w->select.given;
    struct timeval rounded = { 0 };

    restore(w);
    if (mask || listening_select_needed(w->select.n, given[IN], given[OUT], given[2]))
        return call_pselect(w, time, mask);
    if (time)
        rounded = (struct timeval){ time->tv_sec + (time->tv_nsec > 999999000), (time->tv_nsec + 999) / 1000 % 1000000 };
    return real.select(w->select.n, given[IN], given[OUT], given[2], time ? &rounded : NULL);
}

static bool begin(struct wait *w)
{
    const fd_set *in = w->select.given[IN];
    if (w->select.n > READINESS_SELECTED)
        return false;
    restore(w);
    bool any = listening_select_needed(w->select.n, in, w->select.given[OUT], w->select.given[2]);
    for (int fd = 0; in && readiness_any() && fd < w->select.n; fd++) {
        if (!readiness_is_borrowed(fd) || !FD_ISSET(fd, in))
            continue;
        any = true;
        readiness_before_read(fd);
    }
    return any && save(w);
}

static int forget(const struct wait *w)
{
    for (int i = 0; i < SETS; i++)
        if (w->select.given[i])
            memset(w->select.given[i], 0, readiness_words(w->select.n) * sizeof(long));
    return 0;
}

/* Takes out of the result what the client is not told. */
static int tell(struct wait *w, int ready)
{
    fd_set *in = w->select.given[IN], *out = w->select.given[OUT];

    for (int fd = 0; in && w->select.is_saved && fd < w->select.n; fd++) {
        if (!readiness_is_borrowed(fd) || !FD_ISSET(fd, in))
            continue;
        enum readiness_sight sight =
            readiness_look(fd, out && FD_ISSET(fd, saved(w, OUT)), POLLIN);
        if (sight == SIGHT_REPLACED)
            return forget(w);
        if (sight == SIGHT_TRUE || (sight == SIGHT_WRITABLE && !out))
            continue;
        FD_CLR(fd, in);
        ready--;
        if (sight == SIGHT_WRITABLE && !FD_ISSET(fd, out)) {
            FD_SET(fd, out);
            ready++;
        }
    }
    return ready;
}

static bool deferred(struct wait *w)
{
    return w->select.n >= 0 && w->select.n <= READINESS_SELECTED && deferred_selected(w->select.n, w->select.given[IN]) &&
           save(w);
}

static int tell_deferred(struct wait *w, int ready)
{
    return ready + deferred_select(w->select.n, saved(w, IN), w->select.given[IN]);
}

static bool awaits_end(struct wait *w)
{
    (void)w;
    return false;
}

/* select has no bit for it. */
static bool ended(struct wait *w, int ready)
{
    (void)w, (void)ready;
    return false;
}

void readiness_of_select(struct wait *w, bool masked, int n, fd_set *const given[3], unsigned long *room)
{
    static const struct wait_family family = { begin, tell, ended, save, deferred, tell_deferred, awaits_end, true };

    w->family = &family;
    w->call = masked ? call_pselect : call_select;
    w->select.n = n;
    w->select.is_saved = false;
    w->select.saved = room;
    memcpy(w->select.given, given, sizeof w->select.given);
}
