/* SPDX-License-Identifier: ISC */
/* reach: a program that is executed after chroot(2), pivot_root(2) or setuid(2) may not find the library that
 * its environment preloads.  Its loader would say so on stderr, and so would that of each program after it:
 * it gets an environment that does not speak of the library.  A program that is executed under a filter of system calls
 * gets one in which the launcher does not speak: it looks itself. */
#ifndef HOLDFAST_PRELOAD_REACH_H
#define HOLDFAST_PRELOAD_REACH_H

/* `env`, if the library can be found from here or that is not known, or there is no memory; else the rest of it, in memory of
 * room.h. */
char *const *reach_env(char *const *env);

#endif
