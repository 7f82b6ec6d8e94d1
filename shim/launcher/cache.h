/* SPDX-License-Identifier: ISC */
/* cache: glibc's list of where libraries are, /etc/ld.so.cache. */
#ifndef HOLDFAST_LAUNCHER_CACHE_H
#define HOLDFAST_LAUNCHER_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of a cache; nothing in them is trusted. */
struct cache {
    char *bytes;
    size_t len;
};

/* False: there is none that can be read.  cache_fini afterwards in any case. */
bool cache_init(struct cache *cache, const char *path);
void cache_fini(struct cache *cache);

/* Calls `take` for each file that it has for this name, best first, until one is taken.  Files for certain
 * kinds of processor (glibc-hwcaps) are left out.  True: one was taken. */
bool cache_find(const struct cache *cache, const char *name, bool (*take)(void *arg, const char *path), void *arg);

#endif
