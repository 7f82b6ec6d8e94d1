/* preload: LD_PRELOAD with the library in it, for the command and all that it starts. */
#ifndef HOLDFAST_LAUNCHER_PRELOAD_H
#define HOLDFAST_LAUNCHER_PRELOAD_H

#include <stdbool.h>

/* The library beside this program; free() it.  Ends the program if there is none. */
char *preload_find_library(void);

/* The entry by which loaders find `library`; free() it.  `both`: whether 32-bit loaders find something
 * of their own class there. */
char *preload_entry(const char *library, bool *both);

/* Puts `entry` first, in the place of any library of our name: two of them, of two builds, would adapt
 * each other's work.  Leaves it where it is if it is there already. */
void preload_add(const char *entry);

/* Takes any library of our name out. */
void preload_remove(void);

#endif
