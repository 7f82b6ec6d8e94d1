/* SPDX-License-Identifier: ISC */
/* reach: a program that is executed after chroot(2), pivot_root(2) or setuid(2) may not find the library that
 * its environment preloads.  Its loader would say so on stderr, and so would that of each program after it:
 * it gets an environment that does not speak of the library.  A program that is executed under a filter of system calls
 * gets one in which the launcher does not speak: it looks itself. */
#ifndef HOLDFAST_PRELOAD_REACH_H
#define HOLDFAST_PRELOAD_REACH_H

#include <stddef.h>

/* How many bytes of text reach_env may need. */
size_t reach_text(char *const *env);

/* `env`, if the library can be found from here or that is not known; else `room`, which has as many entries as
 * `env` with its final NULL, filled with the rest of it.  `text`: see reach_text. */
char *const *reach_env(char *const *env, char **room, char *text);

#endif
