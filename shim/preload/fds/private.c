/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/fds/private.h"

#include "base/lock.h"
#include "preload/fds/table.h"
#include "preload/fds/limit.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/libc/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { HIGHEST_ABOVE = 4096 }; /* higher numbers would make the kernel's table of fds large */

struct lock private_raising = LOCK_FREE(private_raising); /* of the limit, for a moment: two at a time would leave it higher */

static struct {
    atomic_int count;
    unsigned adopted;    /* at start; they do not count against what may be made */
    struct rlimit known; /* under the lock: the limit, as it was last seen; rlim_cur is 0: not yet */
} our;

static struct rlimit limits(void)
{
    struct rlimit limit = { CONN_TABLE_SIZE, CONN_TABLE_SIZE };

    getrlimit(RLIMIT_NOFILE, &limit);
    return limit;
}

static unsigned eighth(rlim_t most)
{
    return (unsigned)(most > CONN_TABLE_SIZE ? CONN_TABLE_SIZE : most) / 8;
}

unsigned private_limit(void)
{
    return eighth(limits().rlim_cur);
}

/* The upper eighth of what lies below 1024; upwards from there if the limit is higher. */
static int below_limit(int fd, rlim_t soft)
{
    int end = soft > 1024 ? 1024 : (int)soft;

    return real.fcntl(fd, F_DUPFD_CLOEXEC, end - end / 8);
}

/* Only where the limit is `known`; if it is another one, it stays that, and is known afterwards. */
static bool change_limit(const struct rlimit *to)
{
    struct rlimit before;

    if (prlimit(0, RLIMIT_NOFILE, to, &before) != 0)
        return false;
    if (limit_equal(&before, &our.known))
        return true;
    prlimit(0, RLIMIT_NOFILE, &before, NULL);
    our.known = before;
    return false;
}

/* Numbers from the soft limit on do not compete with the program's: the kernel gives them out while the
 * limit is higher for a moment, and they stay valid (getrlimit(2)). */
static int above_limit(int fd)
{
    struct rlimit higher = our.known;
    sigset_t mask;
    int copy = -1;

    higher.rlim_cur += our.known.rlim_cur / 8 + 1;
    if (higher.rlim_cur > our.known.rlim_max || higher.rlim_cur > HIGHEST_ABOVE)
        return -1;
    signals_hold(&mask);
    if (change_limit(&higher)) {
        copy = real.fcntl(fd, F_DUPFD_CLOEXEC, (int)our.known.rlim_cur);
        limit_restore(&our.known, &higher);
    }
    signals_release(&mask);
    return copy;
}

static int dup_below(int fd)
{
    struct rlimit limit = limits();

    return (unsigned)atomic_load(&our.count) < eighth(limit.rlim_cur) + our.adopted ? below_limit(fd, limit.rlim_cur) : -1;
}

/* With the limit that is known, and once more if that was another one. */
static int dup_known(int fd)
{
    if (!our.known.rlim_cur)
        our.known = limits();
    if ((unsigned)atomic_load(&our.count) >= eighth(our.known.rlim_cur) + our.adopted)
        return -1;
    int copy = above_limit(fd);
    return copy >= 0 ? copy : below_limit(fd, our.known.rlim_cur);
}

/* Other threads, and signal handlers, must never meet a limit that is not the program's. */
static int dup_high(int fd)
{
    if (!self_alone() || !lock_take(&private_raising))
        return dup_below(fd);
    int copy = dup_known(fd);
    if (copy < 0) {
        our.known = limits();
        copy = dup_known(fd);
    }
    lock_give(&private_raising);
    return copy;
}

int private_dup(int fd)
{
    int saved = errno;
    int copy = dup_high(fd);

    if (copy >= CONN_TABLE_SIZE) {
        real.close(copy);
        copy = -1;
    }
    if (copy >= 0) {
        atomic_fetch_add(&our.count, 1);
        atomic_store(&conn_table[copy], CONN_PRIVATE);
    }
    errno = saved;
    return copy;
}

void private_adopt(int fd)
{
    if (fd < 0 || fd >= CONN_TABLE_SIZE || private_is(fd))
        return;
    our.adopted++;
    atomic_fetch_add(&our.count, 1);
    atomic_store(&conn_table[fd], CONN_PRIVATE);
}

int private_move(int fd)
{
    int copy = private_dup(fd);

    if (copy >= 0)
        real.close(fd);
    return copy;
}

void private_forget(int fd)
{
    if (!private_is(fd))
        return;
    atomic_store(&conn_table[fd], NULL);
    atomic_fetch_sub(&our.count, 1);
}

void private_close_own(int fd)
{
    if (!private_is(fd))
        return; /* the program has taken the number away from us: it is not ours to close */
    int saved = errno;
    private_forget(fd);
    real.close(fd);
    errno = saved;
}

bool private_is(int fd)
{
    return conn_find(fd) == CONN_PRIVATE;
}
