/* SPDX-License-Identifier: ISC */
/* image: what kind of program a file holds, as far as a dynamic loader will care.  Only read, never
 * mapped: nothing in the file is trusted, and it may change meanwhile. */
#ifndef HOLDFAST_LAUNCHER_IMAGE_H
#define HOLDFAST_LAUNCHER_IMAGE_H

#include "base/version.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum image_libc { IMAGE_GLIBC, IMAGE_MUSL, IMAGE_OTHER_LIBC };

/* What follows `machine` is known for files of our own class only. */
struct image {
    unsigned char class; /* ELFCLASS32 or ELFCLASS64; 0: not an ELF file, and nothing else is set */
    uint16_t machine;    /* EM_... */
    bool dynamic;        /* a dynamic loader starts it, or it is one */
    bool go;             /* made by the Go toolchain, linked dynamically or not */
    enum image_libc libc;
    char interpreter[PATH_MAX]; /* its dynamic loader; empty: none, or it is one */
};

/* `fd` stays the caller's. */
void image_look(int fd, struct image *image);

/* Which libc a shared library asks for.  0 or -errno; -ENOEXEC if it cannot be made out. */
int image_library_libc(int fd, enum image_libc *libc);

/* Whether `provider` defines each symbol that `library` cannot do without, versions aside: musl's
 * loader looks at nothing else, and ends the program if one is missing. */
bool image_provides(int provider, int library);

/* Of which release a library of ours is.  False if it does not say so. */
bool image_version(int fd, char version[VERSION_SIZE]);

#endif
