/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/share/handdown.h"

#include "base/config.h"
#include "base/program.h"
#include "base/slice.h"
#include "base/syscalls.h"
#include "preload/self/env.h"
#include "preload/self/identity.h"
#include "preload/fds/private.h"
#include "preload/libc/real.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One library loads under either libc (README), so this is asked at run time. */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

static __thread char *const *looked_in;

static char *lookup(const char *name)
{
    return env_find(looked_in, name);
}

/* Will the library take the queues over there, or look past them? */
static bool environment_wants(const struct tree *tree, char *const *env)
{
    struct config config;
    struct tree its;

    looked_in = env;
    const char *text = lookup(TREE_VARIABLE);
    if (!env_preload(env).variable || !text || tree_parse(&its, tree->calls, text) != 0 || its.first != tree->first ||
        strcmp(its.token, tree->token) != 0)
        return false;
    config_load(&config, lookup, NULL, NULL);
    return config.enabled && config.share != CONFIG_SHARE_OFF;
}

/* The program may have put something else under their numbers, and we something of ours after that. */
static bool are_there(const struct tree *tree)
{
    for (unsigned i = 0; i < TREE_QUEUES; i++)
        if (!tree_has(tree, i))
            return false;
    return true;
}

bool handdown_is_for(const struct tree *tree, const char *path, char *const *env)
{
    uint32_t gid = 0;

    return path && environment_wants(tree, env) && are_there(tree) && identity_is_purely(tree->uid, &gid) &&
           program_loads(path, gnu_get_libc_version ? PROGRAM_GLIBC : PROGRAM_MUSL, tree->uid, gid);
}

static void mark(const struct tree *tree, int flags)
{
    for (int i = 0; i < TREE_FDS; i++)
        if (private_is(tree->first + i))
            real.fcntl(tree->first + i, F_SETFD, (void *)(intptr_t)flags);
}

void handdown_open(const struct tree *tree)
{
    mark(tree, 0);
}

static bool are_all_ours(const struct tree *tree, int count)
{
    for (int i = 0; i < count; i++)
        if (!private_is(tree->first + i))
            return false;
    return true;
}

/* One call where the numbers in between are nobody else's: nearly always. */
void handdown_shut(const struct tree *tree)
{
#ifdef SYS_close_range
    const int count = private_is(tree->first + TREE_LINE) ? TREE_FDS : TREE_FDS - 1;

    if (are_all_ours(tree, count) &&
        real.syscall(SYS_close_range, tree->first, tree->first + count - 1, CLOSE_RANGE_CLOEXEC) == 0)
        return;
#endif
    mark(tree, FD_CLOEXEC);
}

/* As the kernel will judge it: by the effective uid, and no program on a noexec mount. */
static bool is_executable(const char *path)
{
    struct stat status;

    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static const char *search_path(void)
{
    const char *path = env_get("PATH");

    return path ? path : "/bin:/usr/bin";
}

/* Takes the first folder off *path; an empty one is the current directory.  False: there is none. */
static bool take_folder(const char **path, struct slice *folder)
{
    if (!*path)
        return false;
    const char *end = strchrnul(*path, ':');
    *folder = (struct slice){ *path, (size_t)(end - *path) };
    *path = *end ? end + 1 : NULL;
    return true;
}

size_t handdown_longest(const char *file)
{
    const char *path = search_path();
    struct slice folder;
    size_t most = 0;

    while (!strchr(file, '/') && take_folder(&path, &folder)) {
        const size_t n = folder.len + strlen(file) + 2;
        if (n > most && n <= PATH_MAX)
            most = n;
    }
    return most + 1;
}

const char *handdown_find(const char *file, char *name)
{
    const size_t len = strlen(file);
    const char *path = search_path();
    struct slice folder;

    if (strchr(file, '/'))
        return file;
    while (len && take_folder(&path, &folder)) {
        if (folder.len + len + 2 > PATH_MAX)
            continue;
        memcpy(name, folder.data, folder.len);
        name[folder.len] = '/';
        memcpy(name + folder.len + !!folder.len, file, len + 1);
        if (is_executable(name))
            return name;
    }
    return NULL;
}
