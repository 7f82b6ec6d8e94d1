#define _GNU_SOURCE
#include "preload/life/reach.h"

#include "base/version.h"
#include "preload/life/process.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "LD_PRELOAD="
#define SEPARATORS ": \t\n\v\f\r" /* of glibc and musl */

static const char *find_variable(char *const *env)
{
    for (; env && *env; env++)
        if (strncmp(*env, VARIABLE, sizeof VARIABLE - 1) == 0)
            return *env;
    return NULL;
}

/* Our entry of it, of *len bytes; NULL: there is none. */
static const char *find_entry(const char *variable, size_t *len)
{
    const char *entry = variable + sizeof VARIABLE - 1;

    for (; *entry; entry += *len + strspn(entry + *len, SEPARATORS)) {
        *len = strcspn(entry, SEPARATORS);
        if (memmem(entry, *len, "libholdfast", 11))
            return entry;
    }
    return NULL;
}

/* The loader puts something else for a $NAME: then it is the folder above that counts.
 *
 * access(2) asks for the real user, and without the capabilities that exec takes from whoever is not root: setpriv(1)
 * still has them in this moment.  Where real and effective user differ, the new program's loader ignores the entry. */
static bool is_lost(const char *entry, size_t len)
{
    const char *dollar = memchr(entry, '$', len);
    char path[PATH_MAX];

    if (dollar)
        len = (size_t)(dollar - entry);
    if (*entry != '/' || len >= sizeof path)
        return false;
    memcpy(path, entry, len);
    path[len] = '\0';
    return access(path, dollar ? X_OK : R_OK) != 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES);
}

size_t reach_text(char *const *env)
{
    const char *variable = find_variable(env);

    return variable ? strlen(variable) + 1 : 1;
}

/* It is to look for itself whether it can work: see process.c, filtered. */
static char *const *without_word(char *const *env, char **room)
{
    size_t n = 0;

    for (; env && *env; env++)
        if (strncmp(*env, VERSION_VARIABLE "=", sizeof VERSION_VARIABLE) != 0)
            room[n++] = *env;
    room[n] = NULL;
    return room;
}

char *const *reach_env(char *const *env, char **room, char *text)
{
    if (process_retired && env)
        return without_word(env, room);
    const char *variable = process_active ? find_variable(env) : NULL;
    size_t len = 0, n = 0;
    const char *entry = variable ? find_entry(variable, &len) : NULL;
    int saved = errno;
    bool lost = entry && is_lost(entry, len);

    errno = saved;
    if (!lost)
        return env;
    const char *rest = entry + len + strspn(entry + len, SEPARATORS);
    memcpy(text, variable, (size_t)(entry - variable));
    memcpy(text + (entry - variable), rest, strlen(rest) + 1);
    for (; *env; env++)
        if (*env != variable)
            room[n++] = *env;
        else if (text[sizeof VARIABLE - 1])
            room[n++] = text;
    room[n] = NULL;
    return room;
}
