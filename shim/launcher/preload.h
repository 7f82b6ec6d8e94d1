/* SPDX-License-Identifier: ISC */
/* preload: LD_PRELOAD with the library in it, for the command and all that it starts. */
#ifndef HOLDFAST_LAUNCHER_PRELOAD_H
#define HOLDFAST_LAUNCHER_PRELOAD_H

#include <stdbool.h>

/* Where a file of ours is, or would be: beside this program, or where it is installed; free() it. */
char *preload_find(const char *name);

/* The library that belongs to this program; free() it.  Ends the program if there is none, or if it is of
 * another release. */
char *preload_find_library(void);

enum preload_small {
    PRELOAD_SMALL_DISTURBED,   /* their loader complains */
    PRELOAD_SMALL_UNDISTURBED, /* it finds an empty library */
    PRELOAD_SMALL_SERVED,      /* it finds ours */
};

/* The entry by which loaders find `library`; free() it.  `small`: what becomes of 32-bit programs. */
char *preload_entry(const char *library, enum preload_small *small);

/* That entry, and behind it one for the library that speaks TLS (HOLDFAST_TLS=reuse); free() it, `entry` is freed.  Ends the
 * program if there is none. */
char *preload_with_tls(char *entry);

/* Says in the environment of which release we are.  A tree of another release is left. */
void preload_announce(void);

/* Puts `entry`, of one library or two, first, in the place of any library of our names: two of them, of two builds, would
 * adapt each other's work.  Leaves it where it is if it is there already. */
void preload_add(const char *entry);

/* Takes any library of our name out. */
void preload_remove(void);

#endif
