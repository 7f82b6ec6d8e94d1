/* The exec family.  The kernel closes what is ours; an exchange under way is handed over. */
#define _GNU_SOURCE
#include "preload/hook.h"

#include "preload/handover.h"
#include "preload/process.h"

#include <limits.h>
#include <stdarg.h>
#include <unistd.h>

extern char **environ;

/* After a real exec has come back. */
static int failed(char *const *packed, char *const *env)
{
    int saved = errno;

    handover_cancel(packed, env);
    errno = saved;
    return -1;
}

int execve(const char *path, char *const argv[], char *const env[])
{
    char *const *packed = handover_pack(env);

    real.execve(path, argv, packed);
    return failed(packed, env);
}

int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

int execvpe(const char *file, char *const argv[], char *const env[])
{
    char *const *packed = handover_pack(env);

    real.execvpe(file, argv, packed);
    return failed(packed, env);
}

int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

int fexecve(int fd, char *const argv[], char *const env[])
{
    char *const *packed = handover_pack(env);

    real.fexecve(fd, argv, packed);
    return failed(packed, env);
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

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wvla"
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
#pragma GCC diagnostic pop
