/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/wire/listening.h"

#include "preload/self/self.h"
#include "preload/fds/bell.h"
#include "preload/conn/conn.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wvla" /* as large as what the caller waits for, and no larger: its stack may be small */

enum {
    POLL_MOST = 512, /* waits for more are only as good as the kernel's */
    SETS_MOST = 8192,
};

static bool is_tracked(int fd)
{
    const struct conn *c = conn_find(fd);

    return c && c != CONN_PRIVATE;
}

bool listening_poll_needed(const struct pollfd *fds, nfds_t n)
{
    if (self_alone() || n > POLL_MOST)
        return false;
    for (nfds_t i = 0; i < n; i++)
        if (is_tracked(fds[i].fd))
            return true;
    return false;
}

static bool is_in(const struct listening_sets *given, int fd)
{
    for (int i = 0; i < 3; i++)
        if (given->sets[i] && FD_ISSET(fd, given->sets[i]))
            return true;
    return false;
}

bool listening_select_needed(int n, const fd_set *in, const fd_set *out, const fd_set *except)
{
    const struct listening_sets given = { n, { (fd_set *)(uintptr_t)in, (fd_set *)(uintptr_t)out, (fd_set *)(uintptr_t)except } };

    if (self_alone() || n > SETS_MOST)
        return false;
    for (int fd = 0; fd < n; fd++)
        if (is_tracked(fd) && is_in(&given, fd))
            return true;
    return false;
}

/* Another thread may be about to put a socket there, or to connect the one that it has put there: when it is done, it is
 * known whether the bell was rung. */
static void let_finish(int fd)
{
    struct conn *c = is_tracked(fd) ? conn_enter(fd, NEED_AS_IS) : NULL;

    if (!c)
        return;
    conn_wait_turn(c);
    conn_leave(c);
}

static void thread_ends(void)
{
    bell_end();
}

static void begin(void)
{
    conn_watch_thread(thread_ends);
    bell_begin();
}

/* Once more, if the number leads to another conn by now. */
static void watch(int fd)
{
    for (struct conn *c = conn_find(fd), *before = NULL; c && c != CONN_PRIVATE && c != before; c = conn_find(fd)) {
        bell_watch(&c->polled);
        before = c;
    }
}

int listening_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask, bool *again)
{
    *again = false;
    if (!listening_poll_needed(fds, n))
        return real.ppoll(fds, n, time, mask);
    struct pollfd all[n + 1];
    begin();
    for (nfds_t i = 0; i < n; i++)
        watch(fds[i].fd);
    memcpy(all, fds, n * sizeof *fds);
    all[n] = (struct pollfd){ .fd = bell_listen(), .events = POLLIN };
    int ready = real.ppoll(all, n + 1, time, mask), saved = errno;
    for (nfds_t i = 0; i < n && ready > 0; i++)
        if ((fds[i].revents = all[i].revents))
            let_finish(fds[i].fd);
    for (nfds_t i = 0; i < n && ready == 0; i++)
        fds[i].revents = 0;
    bool heard = ready > 0 && all[n].revents; /* by threads that have not left it yet, too: it tells of no time that is over */
    ready -= heard;
    *again = bell_end() || heard;
    errno = saved;
    return ready;
}

/* The sets, with room for the bell's number. */
struct copies {
    size_t len; /* of the caller's */
    fd_set *sets[3];
};

/* `room`: three sets of so many words. */
static void copy(struct copies *copies, const struct listening_sets *given, unsigned long *room, size_t words)
{
    copies->len = listening_words(given->n) * sizeof(long);
    memset(room, 0, 3 * words * sizeof *room);
    for (int i = 0; i < 3; i++) {
        copies->sets[i] = (fd_set *)(void *)(room + (size_t)i * words);
        if (given->sets[i])
            memcpy(copies->sets[i], given->sets[i], copies->len);
    }
}

/* Returns how many are ready but for the bell. */
static int give_back(const struct copies *copies, const struct listening_sets *given, int ready, bool heard)
{
    ready -= heard;
    for (int fd = 0; fd < given->n && ready > 0; fd++)
        if (FD_ISSET(fd, copies->sets[0]) || FD_ISSET(fd, copies->sets[1]) || FD_ISSET(fd, copies->sets[2]))
            let_finish(fd);
    for (int i = 0; i < 3; i++)
        if (given->sets[i])
            memcpy(given->sets[i], copies->sets[i], copies->len);
    return ready;
}

int listening_pselect(const struct listening_sets *given, const struct timespec *time, const sigset_t *mask, bool *again)
{
    struct copies copies;
    fd_set *const *sets = given->sets;

    *again = false;
    if (!listening_select_needed(given->n, sets[0], sets[1], sets[2]))
        return real.pselect(given->n, sets[0], sets[1], sets[2], time, mask);
    begin();
    for (int fd = 0; fd < given->n; fd++)
        if (is_in(given, fd))
            watch(fd);
    int bell = bell_listen(), n = bell >= given->n ? bell + 1 : given->n;
    if (n > SETS_MOST)
        bell = -1, n = given->n;
    unsigned long room[3 * listening_words(n) + 1]; /* of none there is nothing to wait for but the time */
    copy(&copies, given, room, listening_words(n));
    if (bell >= 0)
        FD_SET(bell, copies.sets[0]);
    int ready = real.pselect(n, copies.sets[0], sets[1] ? copies.sets[1] : NULL, sets[2] ? copies.sets[2] : NULL, time, mask);
    int saved = errno;
    bool heard = ready > 0 && bell >= 0 && FD_ISSET(bell, copies.sets[0]);
    if (heard)
        FD_CLR(bell, copies.sets[0]);
    if (ready >= 0)
        ready = give_back(&copies, given, ready, heard);
    *again = bell_end() || heard;
    errno = saved;
    return ready;
}
