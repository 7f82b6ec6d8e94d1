/* SPDX-License-Identifier: ISC */
/* A program that lists its own descriptors does not find ours.  Only such a listing is looked at: whether
 * a directory is one is asked once, when it is opened. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/fds/private.h"
#include "preload/self/self.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#undef readdir64 /* musl's headers make macros of these */

enum { LISTINGS = 8, PROC_MAGIC = 0x9fa0 };

static DIR *_Atomic listings[LISTINGS];
static atomic_int listed;

/* /proc/PID/fd, of this process. */
static bool is_own_listing(DIR *dir)
{
    char link[40], path[64], own[40];
    struct statfs fs;
    int fd = dirfd(dir);

    if (fd < 0 || fstatfs(fd, &fs) != 0 || fs.f_type != PROC_MAGIC)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    snprintf(own, sizeof own, "/proc/%d/fd", (int)getpid());
    return strcmp(path, own) == 0;
}

static DIR *opened(DIR *dir)
{
    int saved = errno;

    if (dir && self.active && is_own_listing(dir))
        for (int i = 0; i < LISTINGS; i++) {
            DIR *none = NULL;
            if (atomic_compare_exchange_strong(&listings[i], &none, dir)) {
                atomic_fetch_add(&listed, 1);
                break;
            }
        }
    errno = saved;
    return dir;
}

static bool is_listing(const DIR *dir)
{
    for (int i = 0; i < LISTINGS; i++)
        if (atomic_load(&listings[i]) == dir)
            return true;
    return false;
}

/* Is this entry of a listing one of ours? */
static bool hides(const DIR *dir, const char *name)
{
    int fd = 0;

    if (!atomic_load_explicit(&listed, memory_order_relaxed) || !is_listing(dir))
        return false;
    for (; *name >= '0' && *name <= '9' && fd < INT_MAX / 10; name++)
        fd = fd * 10 + (*name - '0');
    return *name == '\0' && private_is(fd);
}

DIR *opendir(const char *name)
{
    return opened(real.opendir(name));
}

DIR *fdopendir(int fd)
{
    return opened(real.fdopendir(fd));
}

struct dirent *readdir(DIR *dir)
{
    struct dirent *entry = real.readdir(dir);

    while (entry && hides(dir, entry->d_name))
        entry = real.readdir(dir);
    return entry;
}

struct dirent64 *readdir64(DIR *dir)
{
    struct dirent64 *entry = real.readdir64(dir);

    while (entry && hides(dir, entry->d_name))
        entry = real.readdir64(dir);
    return entry;
}

int closedir(DIR *dir)
{
    for (int i = 0; i < LISTINGS && atomic_load_explicit(&listed, memory_order_relaxed); i++) {
        DIR *it = dir;
        if (atomic_compare_exchange_strong(&listings[i], &it, NULL)) {
            atomic_fetch_sub(&listed, 1);
            break;
        }
    }
    return real.closedir(dir);
}
