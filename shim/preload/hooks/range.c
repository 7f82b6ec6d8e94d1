/* SPDX-License-Identifier: ISC */
/* close_range and closefrom, which leave our own numbers alone. */
#define _GNU_SOURCE
#include "base/syscalls.h"
#include "preload/hooks/hook.h"

#include "preload/self/self.h"

#include <fcntl.h>
#include <unistd.h>

/* musl has no close_range; its programs have syscall(2). */
static int range_really(unsigned first, unsigned last, int flags)
{
    int result = real.close_range(first, last, flags);

#ifdef SYS_close_range
    if (result < 0 && errno == ENOSYS)
        result = (int)real.syscall(SYS_close_range, first, last, flags);
#endif
    return result;
}

/* Closes [first, last] but for our own fds in it. */
static int close_around_ours(unsigned first, unsigned last, int flags)
{
    unsigned start = first;
    unsigned stop = last < CONN_TABLE_SIZE ? last : CONN_TABLE_SIZE - 1;

    for (unsigned fd = first; fd <= stop; fd++) {
        struct conn *c = conn_find((int)fd);
        if (c && c != CONN_PRIVATE && !(flags & CLOSE_RANGE_CLOEXEC))
            hook_number_goes((int)fd);
        if (c != CONN_PRIVATE)
            continue;
        if (fd > start && range_really(start, fd - 1, flags) != 0)
            return -1;
        start = fd + 1;
    }
    return start <= last ? range_really(start, last, flags) : 0;
}

static void note_cloexec(unsigned first, unsigned last)
{
    for (unsigned fd = first; fd <= last && fd < CONN_TABLE_SIZE; fd++) {
        struct conn *c;
        if (!conn_find((int)fd) || hook_enter((int)fd, NEED_AS_IS, &c) != ENTERED)
            continue;
        conn_set_cloexec(c, (int)fd, true);
        conn_leave(c);
    }
}

int close_range(unsigned first, unsigned last, int flags)
{
    if (!self.active || !self_is_ours() || first > last ||
        flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
        return range_really(first, last, flags);
    int result = close_around_ours(first, last, flags);
    if (result == 0 && flags & CLOSE_RANGE_CLOEXEC)
        note_cloexec(first, last);
    return result;
}

void closefrom(int first)
{
    if (!self.active || !self_is_ours() ||
        close_around_ours(first < 0 ? 0 : (unsigned)first, ~0u, 0) != 0)
        real.closefrom(first);
}
