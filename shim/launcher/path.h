/* SPDX-License-Identifier: ISC */
/* path: where a command is, found as execvp(3) finds it. */
#ifndef HOLDFAST_LAUNCHER_PATH_H
#define HOLDFAST_LAUNCHER_PATH_H

#include <limits.h>
#include <stdbool.h>

/* Leaves the file that execvp would try first in `found`: `name` itself if it has a slash.  False if
 * there is none that could be executed. */
bool path_find(const char *name, char found[PATH_MAX]);

#endif
