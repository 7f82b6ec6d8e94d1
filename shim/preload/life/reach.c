/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/reach.h"

#include "base/version.h"
#include "preload/life/room.h"
#include "preload/self/env.h"
#include "preload/self/self.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wvla" /* no longer than need be: the stack may be small */

/* The loader puts something else for a $NAME: then it is the folder above that counts.
 *
 * access(2) asks for the real user, and without the capabilities that exec takes from whoever is not root: setpriv(1)
 * still has them in this moment.  Where real and effective user differ, the new program's loader ignores the entry. */
static bool is_lost(const char *entry, size_t len)
{
    const char *dollar = memchr(entry, '$', len);

    if (dollar)
        len = (size_t)(dollar - entry);
    if (*entry != '/' || len >= PATH_MAX)
        return false;
    char path[len + 1];
    memcpy(path, entry, len);
    path[len] = '\0';
    return access(path, dollar ? X_OK : R_OK) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES);
}

/* It is to look for itself whether it can work: see start.c, filtered. */
static char *const *without_word(char *const *env)
{
    char **room = room_take(env_entries(env) * sizeof *room);
    size_t n = 0;

    if (!room)
        return env;
    for (; *env; env++)
        if (strncmp(*env, VERSION_VARIABLE "=", sizeof VERSION_VARIABLE) != 0)
            room[n++] = *env;
    room[n] = NULL;
    return room;
}

char *const *reach_env(char *const *env)
{
    if (self.retired && env)
        return without_word(env);
    const struct env_preload preload = self.active ? env_preload(env) : (struct env_preload){ .variable = NULL };
    const char *variable = preload.variable;
    size_t n = 0;
    int saved = errno;
    bool lost = variable && is_lost(preload.entry, preload.len);

    errno = saved;
    if (!lost || !env)
        return env;
    size_t before = (size_t)(preload.entry - variable);
    char **room = room_take(env_entries(env) * sizeof *room), *text = room_take(strlen(variable) + 1);
    if (!room || !text)
        return env;
    memcpy(text, variable, before);
    memcpy(text + before, preload.rest, strlen(preload.rest) + 1);
    for (; *env; env++)
        if (*env != variable)
            room[n++] = *env;
        else if (text[preload.list - variable])
            room[n++] = text;
    room[n] = NULL;
    return room;
}
