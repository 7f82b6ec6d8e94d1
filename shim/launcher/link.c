/* SPDX-License-Identifier: ISC */
/* The kernel tells the path that it was given (AT_EXECFN); argv[0] is whatever the parent liked.  Each link takes its
 * folder out of PATH, so links that lead to each other end where PATH does. */
#define _GNU_SOURCE
#include "launcher/link.h"

#include "launcher/fail.h"
#include "launcher/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

static const char own_name[] = "holdfast";

static bool holds_link(const char *dir, size_t len, const char *name, const struct stat *link)
{
    char *path = fail_or_format("%.*s%s%s", (int)len, dir, len ? "/" : "", name);
    struct stat status;
    bool same = lstat(path, &status) == 0 && status.st_dev == link->st_dev && status.st_ino == link->st_ino;

    free(path);
    return same;
}

/* PATH without the folders that hold this link; NULL: none does, or no folder is left.  free() it. */
static char *path_without(const char *path, const char *name, const struct stat *link)
{
    char *rest = NULL;
    bool held = false;

    for (;; path++) {
        size_t len = strcspn(path, ":");

        if (holds_link(path, len, name, link)) {
            held = true;
        } else {
            char *more = fail_or_format("%s%s%.*s", rest ? rest : "", rest ? ":" : "", (int)len, path);
            free(rest);
            rest = more;
        }
        path += len;
        if (!*path)
            break;
    }
    if (held && rest && *rest)
        return rest;
    free(rest);
    return NULL;
}

/* True: PATH is now `path`, by which the program is found. */
static bool take_path(const char *path, const char *name)
{
    char *before = fail_or_format("%s", getenv("PATH")), found[PATH_MAX];

    fail_or_set("PATH", path);
    bool taken = path_find(name, found);
    if (!taken)
        fail_or_set("PATH", before);
    free(before);
    return taken;
}

bool link_resolve(char **argv)
{
    const char *executed = (const char *)getauxval(AT_EXECFN), *path = getenv("PATH"), *slash;
    struct stat link;

    if (!executed || !path || !argv[0] || lstat(executed, &link) != 0 || !S_ISLNK(link.st_mode))
        return false;
    slash = strrchr(executed, '/');
    const char *name = slash ? slash + 1 : executed;
    if (strncmp(name, own_name, sizeof(own_name) - 1) == 0)
        return false;
    char *rest = path_without(path, name, &link);
    bool taken = rest && take_path(rest, name);
    free(rest);
    if (taken)
        argv[0] = fail_or_format("%s", name);
    return taken;
}
