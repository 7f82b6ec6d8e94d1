/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/self/env.h"

#include <stdlib.h>
#include <string.h>

#define PRELOAD "LD_PRELOAD="
#define SEPARATORS ": \t\n\v\f\r" /* of glibc and musl */
#define LIBRARY "libholdfast"
#define TLS_LIBRARY "libholdfast-tls.so"

char *env_get(const char *name)
{
    return getenv(name);
}

char *env_get_secure(const char *name)
{
    return secure_getenv(name);
}

bool env_of_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

    return preloaded && strstr(preloaded, "/vgpreload_");
}

char *env_find(char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

/* Of the other library of ours, which lies in the same folder, too. */
static const char *behind_ours(const char *list)
{
    for (;;) {
        const char *entry = list + strspn(list, SEPARATORS);
        size_t len = strcspn(entry, SEPARATORS);

        if (!len || !memmem(entry, len, TLS_LIBRARY, strlen(TLS_LIBRARY)))
            return entry;
        list = entry + len;
    }
}

static bool find_entry(struct env_preload *preload)
{
    size_t len;

    preload->list = preload->variable + strlen(PRELOAD);
    for (const char *entry = preload->list; *entry; entry += len + strspn(entry + len, SEPARATORS)) {
        len = strcspn(entry, SEPARATORS);
        if (!memmem(entry, len, LIBRARY, strlen(LIBRARY)))
            continue;
        preload->entry = entry;
        preload->len = len;
        preload->rest = behind_ours(entry + len);
        return true;
    }
    return false;
}

size_t env_entries(char *const *env)
{
    size_t n = 0;

    while (env && env[n])
        n++;
    return n + 1;
}

struct env_preload env_preload(char *const *env)
{
    struct env_preload preload = { .variable = NULL };

    for (; env && *env; env++) {
        preload.variable = *env;
        if (strncmp(*env, PRELOAD, strlen(PRELOAD)) == 0 && find_entry(&preload))
            return preload;
    }
    return (struct env_preload){ .variable = NULL };
}
