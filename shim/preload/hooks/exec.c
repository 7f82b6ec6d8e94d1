/* SPDX-License-Identifier: ISC */
/* The exec and spawn families.  The kernel closes what is ours; an exchange under way is handed over, and
 * a connection that another program has got, too, is not pooled. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/life/departure.h"
#include "preload/life/fork.h"

#include <paths.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

#pragma GCC diagnostic ignored "-Wvla" /* as long as need be, and on the stack: a vfork child must not leave memory behind */

int execve(const char *path, char *const argv[], char *const env[])
{
    DEPARTURE(d, env, .way = DEPARTURE_EXEC, .file = path, .named = path, .program = path);
    real.execve(path, argv, d.env);
    departure_end(&d);
    return -1;
}

int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

int execvpe(const char *file, char *const argv[], char *const env[])
{
    char found[departure_longest(file)];

    DEPARTURE(d, env, .way = DEPARTURE_EXEC, .file = strchr(file, '/') ? file : NULL, .named = file,
              .program = departure_find(file, found));
    real.execvpe(file, argv, d.env);
    departure_end(&d);
    return -1;
}

int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

int fexecve(int fd, char *const argv[], char *const env[])
{
    char path[40];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    DEPARTURE(d, env, .way = DEPARTURE_EXEC, .program = path);
    real.fexecve(fd, argv, d.env);
    departure_end(&d);
    return -1;
}

/* The new program inherits as from exec, unless the file actions say otherwise, which nobody can read. */
static int spawn(int (*libc)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                             const posix_spawnattr_t *, char *const[], char *const[]),
                 pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
    bool elsewhere = actions && *path != '/'; /* they may change the directory */
    char found[departure_longest(path)];

    DEPARTURE(d, env, .way = DEPARTURE_SPAWN, .file = strchr(path, '/') ? path : NULL, .named = path,
              .program = elsewhere ? NULL : libc == real.posix_spawnp ? departure_find(path, found) : path,
              .rearranged = actions != NULL);
    int result = libc(pid, path, actions, attributes, argv, d.env);
    departure_end(&d);
    if (result == 0)
        fork_spawned(actions != NULL);
    return result;
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
    return spawn(real.posix_spawn, pid, path, actions, attributes, argv, env);
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
    return spawn(real.posix_spawnp, pid, file, actions, attributes, argv, env);
}

int system(const char *command)
{
    DEPARTURE(d, environ, .way = DEPARTURE_SHELL, .program = _PATH_BSHELL);
    int result = real.system(command);
    departure_end(&d);
    return result;
}

FILE *popen(const char *command, const char *mode)
{
    DEPARTURE(d, environ, .way = DEPARTURE_SHELL, .program = _PATH_BSHELL);
    FILE *stream = real.popen(command, mode);
    departure_end(&d);
    return stream;
}

/* The arguments of the variadic ones as an array; `env` behind them where the call has one. */
#define WITH_ARGUMENTS(first, argv, call)                   \
    va_list ap;                                             \
    size_t n = 1;                                           \
    va_start(ap, first);                                    \
    while (va_arg(ap, char *))                              \
        n++;                                                \
    va_end(ap);                                             \
    char *argv[n + 1]; /* as libc does */                   \
    argv[0] = (char *)(uintptr_t)first;                     \
    va_start(ap, first);                                    \
    for (size_t i = 1; i <= n; i++)                         \
        argv[i] = va_arg(ap, char *);                       \
    int result = call;                                      \
    va_end(ap);                                             \
    return result

int execl(const char *path, const char *arg, ...)
{
    WITH_ARGUMENTS(arg, argv, execve(path, argv, environ));
}

int execlp(const char *file, const char *arg, ...)
{
    WITH_ARGUMENTS(arg, argv, execvpe(file, argv, environ));
}

int execle(const char *path, const char *arg, ...)
{
    WITH_ARGUMENTS(arg, argv, execve(path, argv, va_arg(ap, char **)));
}
