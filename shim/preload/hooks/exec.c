/* The exec and spawn families.  The kernel closes what is ours; an exchange under way is handed over, and
 * a connection that another program has got, too, is not pooled. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/share/handdown.h"
#include "preload/life/handover.h"
#include "preload/life/lend.h"
#include "preload/life/fork.h"
#include "preload/life/reach.h"
#include "preload/share/shared.h"
#include "preload/share/tracing.h"

#include <limits.h>
#include <paths.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

#pragma GCC diagnostic ignored "-Wvla" /* on the stack: a vfork child must not leave memory behind */

/* An environment that the new program can do with, on the stack. */
#define REACHABLE(env)                                      \
    char *reach_room[handover_entries(env)];                \
    char reach_bytes[reach_text(env)];                      \
    env = reach_env(env, reach_room, reach_bytes)

/* After a real exec has come back. */
static int failed(char *const *packed, char *const *env, bool left)
{
    int saved = errno;

    shared_stay(left);
    handover_done(packed, env);
    errno = saved;
    return -1;
}

/* The file that execvp(3) finds, or NULL: nobody needs to know (with HOLDFAST=0, say). */
static const char *find(const char *file, char room[PATH_MAX])
{
    int saved = errno;
    const char *path = shared_may_leave() ? handdown_find(file, room) : NULL;

    errno = saved;
    return path;
}

int execve(const char *path, char *const argv[], char *const env[])
{
    REACHABLE(env);
    char *room[handover_entries(env)];
    char *const *packed = handover_pack(path, env, room, false);

    bool left = shared_leave(path, env);

    tracing_exec(path, env);
    handover_inherit(packed, env);
    real.execve(path, argv, packed);
    return failed(packed, env, left);
}

int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

int execvpe(const char *file, char *const argv[], char *const env[])
{
    REACHABLE(env);
    char *room[handover_entries(env)];
    char *const *packed = handover_pack(strchr(file, '/') ? file : NULL, env, room, false);
    char found[PATH_MAX];

    bool left = shared_leave(find(file, found), env);

    tracing_exec(file, env);
    handover_inherit(packed, env);
    real.execvpe(file, argv, packed);
    return failed(packed, env, left);
}

int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

int fexecve(int fd, char *const argv[], char *const env[])
{
    REACHABLE(env);
    char *room[handover_entries(env)];
    char *const *packed = handover_pack(NULL, env, room, false);
    char path[40];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool left = shared_leave(path, env);

    handover_inherit(packed, env);
    real.fexecve(fd, argv, packed);
    return failed(packed, env, left);
}

/* The new program inherits as from exec, unless the file actions say otherwise, which nobody can read. */
static int spawn(int (*libc)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                             const posix_spawnattr_t *, char *const[], char *const[]),
                 pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
    REACHABLE(env);
    char *room[handover_entries(env)];
    char *const *packed = handover_pack(strchr(path, '/') ? path : NULL, env, room, actions != NULL);
    char found[PATH_MAX];
    bool elsewhere = actions && *path != '/'; /* they may change the directory */
    bool left = shared_leave(elsewhere ? NULL : libc == real.posix_spawnp ? find(path, found) : path, env);
    tracing_exec(path, env);
    handover_pass(packed, env);
    int result = libc(pid, path, actions, attributes, argv, packed);

    shared_stay(left);
    handover_done(packed, env);
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

/* system and popen hand down `environ`.  Where other threads can read it no entry is added (lend.h), and nothing can be
 * handed over: the exchange, if there is one, stays here. */
static char *const *pack_environ(char *const *env, char **room)
{
    char *const *packed = lend_can_add() ? handover_pack(NULL, env, room, false) : env;

    fork_end_leases(false);
    fork_spawned(false);
    handover_pass(packed, env);
    return packed;
}

int system(const char *command)
{
    char *const *env = environ;
    REACHABLE(env);
    char *room[handover_entries(env)];
    char *const *packed = pack_environ(env, room);
    struct lend lend;

    lend_begin(&lend, packed);
    bool left = shared_leave(_PATH_BSHELL, env);
    int result = real.system(command);
    shared_stay(left);
    lend_end(&lend);
    handover_done(packed, env);
    return result;
}

FILE *popen(const char *command, const char *mode)
{
    char *const *env = environ;
    REACHABLE(env);
    char *room[handover_entries(env)];
    char *const *packed = pack_environ(env, room);
    struct lend lend;

    lend_begin(&lend, packed);
    bool left = shared_leave(_PATH_BSHELL, env);
    FILE *stream = real.popen(command, mode);
    shared_stay(left);
    lend_end(&lend);
    handover_done(packed, env);
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
