/* SPDX-License-Identifier: ISC */
/* widen: preloaded behind libholdfast.so, makes windows between two of its steps wide.
 *
 * WIDEN=NAME:US,...: each of these calls takes so many microseconds longer, half of it before and half after.  For
 * fcntl only where it changes a descriptor or makes one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define NEXT(name)                             \
    static __typeof__(&name) next;             \
    if (!next)                                 \
        *(void **)&next = dlsym(RTLD_NEXT, #name)

static long wanted(const char *name)
{
    const char *at = getenv("WIDEN");
    size_t len = strlen(name);

    for (; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && at[len] == ':')
            return atol(at + len + 1);
    return 0;
}

static void pause_half(long us)
{
    struct timespec time = { us / 2000000, us / 2 % 1000000 * 1000 };

    if (us)
        syscall(SYS_nanosleep, &time, NULL);
}

/* Asked for once: `environ` may be what is looked at. */
#define WIDE(name, result, call)      \
    static long us = -1;              \
    NEXT(name);                       \
    if (us < 0)                       \
        us = wanted(#name);           \
    pause_half(us);                   \
    result = call;                    \
    pause_half(us);                   \
    return result

__attribute__((visibility("default"))) pid_t getpid(void)
{
    pid_t pid;
    WIDE(getpid, pid, next());
}

__attribute__((visibility("default"))) int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    int result;
    WIDE(setrlimit, result, next(resource, limit));
}

__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    int result;
    WIDE(connect, result, next(fd, to, len));
}

__attribute__((visibility("default"))) int system(const char *command)
{
    int result;
    WIDE(system, result, next(command));
}

__attribute__((visibility("default"))) FILE *popen(const char *command, const char *mode)
{
    FILE *result;
    WIDE(popen, result, next(command, mode));
}

__attribute__((visibility("default"))) int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                                                       const posix_spawnattr_t *attributes, char *const argv[],
                                                       char *const env[])
{
    int result;
    WIDE(posix_spawn, result, next(pid, path, actions, attributes, argv, env));
}

static int plain_fcntl(int fd, int command, void *argument)
{
    NEXT(fcntl);
    return next(fd, command, argument);
}

static int wide_fcntl(int fd, int command, void *argument)
{
    int result;
    WIDE(fcntl, result, next(fd, command, argument));
}

__attribute__((visibility("default"))) int fcntl(int fd, int command, ...)
{
    va_list ap;
    va_start(ap, command);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    return command == F_DUPFD_CLOEXEC || command == F_SETFD ? wide_fcntl(fd, command, argument)
                                                            : plain_fcntl(fd, command, argument);
}
