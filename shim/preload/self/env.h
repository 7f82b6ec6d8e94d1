/* SPDX-License-Identifier: ISC */
/* env: environments: the one that this process was given, and those that it gives to others.  Outside this room nobody calls
 * getenv(3), or knows how LD_PRELOAD is written. */
#ifndef HOLDFAST_PRELOAD_ENV_H
#define HOLDFAST_PRELOAD_ENV_H

#include <stdbool.h>
#include <stddef.h>

/* getenv(3). */
char *env_get(const char *name);

/* Does the process run in valgrind?  That preloads libraries of its own. */
bool env_of_valgrind(void);

/* secure_getenv(3): a program with more rights than its caller takes no file names from it. */
char *env_get_secure(const char *name);

/* The one of these by which the settings are read. */
typedef char *env_read(const char *name);
static inline env_read *env_reader(bool secure)
{
    return secure ? env_get_secure : env_get;
}

/* The text behind `name=` in `env`, or NULL. */
char *env_find(char *const *env, const char *name);

/* How many entries `env` has, the final NULL included. */
size_t env_entries(char *const *env);

struct env_preload {
    char *variable;       /* all of `LD_PRELOAD=...`; NULL: nowhere */
    const char *list;     /* what stands behind the `=` */
    const char *entry;    /* the library's part of it, `len` bytes */
    size_t len;
    const char *rest;     /* what follows that part and its separators */
};
/* Where `env` preloads the library. */
struct env_preload env_preload(char *const *env);

#endif
