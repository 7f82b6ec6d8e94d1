/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/path.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_executable(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
           faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

bool path_find(const char *name, char found[PATH_MAX])
{
    const char *dir = getenv("PATH");

    if (strchr(name, '/'))
        return snprintf(found, PATH_MAX, "%s", name) < PATH_MAX && is_executable(found);
    if (!*name)
        return false;
    if (!dir)
        dir = "/bin:/usr/bin"; /* execvp(3) */
    for (;; dir++) {
        int len = (int)strcspn(dir, ":");
        /* An empty entry is the current directory. */
        int n = snprintf(found, PATH_MAX, "%.*s%s%s", len, dir, len > 0 ? "/" : "", name);

        if (n < PATH_MAX && is_executable(found))
            return true;
        dir += len;
        if (!*dir)
            return false;
    }
}
