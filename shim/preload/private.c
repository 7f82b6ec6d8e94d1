#define _GNU_SOURCE
#include "preload/private.h"

#include "base/lock.h"
#include "preload/conn.h"
#include "preload/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { HIGHEST_ABOVE = 4096 }; /* higher numbers would make the kernel's table of fds large */

static atomic_int count;
static unsigned adopted;    /* at start; they do not count against what may be made */
struct lock private_raising; /* of the limit, for a moment: two at a time would leave it higher */

static struct rlimit limits(void)
{
    struct rlimit limit = { CONN_TABLE_SIZE, CONN_TABLE_SIZE };

    getrlimit(RLIMIT_NOFILE, &limit);
    return limit;
}

unsigned private_limit(void)
{
    rlim_t most = limits().rlim_cur;

    return (unsigned)(most > CONN_TABLE_SIZE ? CONN_TABLE_SIZE : most) / 8;
}

/* The upper eighth of what lies below 1024; upwards from there if the limit is higher. */
static int below_limit(int fd, rlim_t soft)
{
    int end = soft > 1024 ? 1024 : (int)soft;

    return real.fcntl(fd, F_DUPFD_CLOEXEC, end - end / 8);
}

/* Numbers from the soft limit on do not compete with the program's: the kernel gives them out while the
 * limit is higher for a moment, and they stay valid (getrlimit(2)). */
static int above_limit(int fd, struct rlimit limit)
{
    struct rlimit higher = limit;

    higher.rlim_cur = limit.rlim_cur + limit.rlim_cur / 8 + 1;
    if (higher.rlim_cur > limit.rlim_max || higher.rlim_cur > HIGHEST_ABOVE ||
        setrlimit(RLIMIT_NOFILE, &higher) != 0)
        return -1;
    int copy = real.fcntl(fd, F_DUPFD_CLOEXEC, (int)limit.rlim_cur);
    setrlimit(RLIMIT_NOFILE, &limit);
    return copy;
}

static int dup_high(int fd)
{
    if (!lock_take(&private_raising))
        return below_limit(fd, limits().rlim_cur);
    struct rlimit limit = limits();
    int copy = above_limit(fd, limit);
    lock_give(&private_raising);
    return copy >= 0 ? copy : below_limit(fd, limit.rlim_cur);
}

int private_dup(int fd)
{
    int saved = errno;
    int copy = -1;

    if ((unsigned)atomic_load(&count) < private_limit() + adopted)
        copy = dup_high(fd);
    if (copy >= CONN_TABLE_SIZE) {
        real.close(copy);
        copy = -1;
    }
    if (copy >= 0) {
        atomic_fetch_add(&count, 1);
        atomic_store(&conn_table[copy], &conn_private);
    }
    errno = saved;
    return copy;
}

void private_adopt(int fd)
{
    if (fd < 0 || fd >= CONN_TABLE_SIZE || private_is(fd))
        return;
    adopted++;
    atomic_fetch_add(&count, 1);
    atomic_store(&conn_table[fd], &conn_private);
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
    atomic_fetch_sub(&count, 1);
}

void private_close(int fd)
{
    int saved = errno;

    if (!private_is(fd))
        return; /* the program has taken the number away from us: it is not ours to close */
    private_forget(fd);
    real.close(fd);
    errno = saved;
}

bool private_is(int fd)
{
    return conn_find(fd) == &conn_private;
}
