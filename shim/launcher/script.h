/* SPDX-License-Identifier: ISC */
/* script: which program runs a script, as execve(2) and env(1) read its first line. */
#ifndef HOLDFAST_LAUNCHER_SCRIPT_H
#define HOLDFAST_LAUNCHER_SCRIPT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum { SCRIPT_HEAD = 256 }; /* as much as the kernel looks at: BINPRM_BUF_SIZE */

/* `head`: the first bytes of the file.  Leaves the interpreter in `interpreter`: behind `#!.../env`,
 * the program that env will start.  A file without `#!` is run by /bin/sh (execvp(3)).  False if it
 * cannot be told, or is not to be found. */
bool script_interpreter(const char *head, size_t len, char interpreter[PATH_MAX]);

#endif
