/* SPDX-License-Identifier: ISC */
/* listening: poll and select of libc, for threads that wait for tracked numbers while other threads may put other sockets
 * there: they wait for the bell as well (fds/bell.h). */
#ifndef HOLDFAST_PRELOAD_LISTENING_H
#define HOLDFAST_PRELOAD_LISTENING_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/select.h>
#include <time.h>

/* Not locked.  May another thread put a socket under one of these? */
bool listening_poll_needed(const struct pollfd *fds, nfds_t n);

/* The same of the sets of select, each of which may be NULL. */
bool listening_select_needed(int n, const fd_set *in, const fd_set *out, const fd_set *except);

/* Not locked.  As ppoll.  *again: what was found may not be true of what lies under the numbers now: ask again with what
 * is left of the time. */
int listening_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask, bool *again);

struct listening_sets {
    int n;
    fd_set *sets[3]; /* to read, to write, exceptional; NULL: none */
};

/* How many words each set of n numbers has. */
static inline size_t listening_words(int n)
{
    const size_t bits = 8 * sizeof(long);

    return ((size_t)n + bits - 1) / bits;
}

/* The same as pselect. */
int listening_pselect(const struct listening_sets *given, const struct timespec *time, const sigset_t *mask, bool *again);

#endif
