#define _GNU_SOURCE
#include "preload/private.h"

#include "preload/conn.h"
#include "preload/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>

static atomic_int count;

static unsigned soft_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > CONN_TABLE_SIZE)
        return CONN_TABLE_SIZE;
    return (unsigned)limit.rlim_cur;
}

unsigned private_limit(void)
{
    return soft_limit() / 8;
}

/* The upper eighth of what lies below 1024; upwards from there if the limit is higher. */
static int lowest(void)
{
    unsigned limit = soft_limit();

    if (limit > 1024)
        limit = 1024;
    return (int)(limit - limit / 8);
}

int private_dup(int fd)
{
    int saved = errno;
    int copy = -1;

    if ((unsigned)atomic_load(&count) < private_limit())
        copy = real.fcntl(fd, F_DUPFD_CLOEXEC, lowest());
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
