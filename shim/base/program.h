/* SPDX-License-Identifier: ISC */
/* program: what the kernel will start when a file is executed, as far as that decides whether the library is
 * loaded into it.  For whoever is about to execute it: only read, and nothing in the file is trusted. */
#ifndef HOLDFAST_BASE_PROGRAM_H
#define HOLDFAST_BASE_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

enum program_libc { PROGRAM_GLIBC, PROGRAM_MUSL, PROGRAM_ANY_LIBC };

/* Will a dynamic loader of `libc`, for our class and machine, start the program, with the rights that the caller
 * (effective `uid` and `gid`) has already?  Of a script (#!) its interpreter counts, to the kernel's depth of five.
 * False in any doubt: what cannot be found, opened or read, is set-user-ID or set-group-ID to somebody else, has
 * file capabilities, or is of a format that we do not know.  On the stack only, also in a vfork child.  errno is
 * left alone. */
bool program_loads(const char *path, enum program_libc libc, uint32_t uid, uint32_t gid);

/* Is it an ELF file of our class that no dynamic loader starts?  Not of a file that cannot be read. */
bool program_is_static(const char *path);

#endif
