/* SPDX-License-Identifier: ISC */
/* closure: a program and all libraries that its loader will load before it starts, where the loader would
 * find them: RPATH and RUNPATH, LD_LIBRARY_PATH, the cache and the usual directories (ld.so(8)), or as musl
 * looks.  Only files are read; what is found depends on this process's environment, root and rights.
 *
 * Not known here: builds of a library for certain processors (glibc-hwcaps), LD_AUDIT, other preloaded
 * libraries, and whatever is loaded later by dlopen(3). */
#ifndef HOLDFAST_LAUNCHER_CLOSURE_H
#define HOLDFAST_LAUNCHER_CLOSURE_H

#include "launcher/cache.h"
#include "launcher/image.h"

#include <stdbool.h>
#include <stddef.h>

enum { CLOSURE_MOST = 1024 };

struct closure_object {
    char *name;   /* as it is asked for; the program's own path */
    char *path;   /* NULL: not found */
    char *rpath, *runpath;
    int parent;   /* who asked for it first; -1: it is the program */
    bool of_libc; /* libc itself, its loader and their kind */
};

struct closure {
    struct closure_object objects[CLOSURE_MOST];
    int count;
    struct image image; /* of the program */
    struct cache cache;
};

/* `path`: a dynamically linked program of our own kind of machine.  closure_fini afterwards. */
void closure_init(struct closure *closure, const char *path);
void closure_fini(struct closure *closure);

#endif
