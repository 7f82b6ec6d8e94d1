/* SPDX-License-Identifier: ISC */
/* Resolving libc's symbols may allocate, and the program's malloc may read, write and close: such
 * calls find `resolving` set and go to the kernel directly. */
#define _GNU_SOURCE
#include "preload/libc/real.h"

#include "base/raw.h"
#include "base/syscalls.h"
#include "preload/libc/lookup.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>

static __thread bool resolving;

#define SYMBOL(ret, name, params, args, failure) static ret first_##name params;
#define VARIADIC(ret, name, params) static ret first_##name params;
#include "preload/libc/symbols.def"
#undef SYMBOL
#undef VARIADIC

struct real real = {
#define SYMBOL(ret, name, params, args, failure) .name = first_##name,
#define VARIADIC(ret, name, params) .name = first_##name,
#include "preload/libc/symbols.def"
#undef SYMBOL
#undef VARIADIC
};

static ssize_t early_read(int fd, void *buf, size_t len)
{
    return raw_return(raw_syscall(SYS_read, fd, (long)buf, (long)len, 0, 0, 0));
}

static ssize_t early_write(int fd, const void *buf, size_t len)
{
    return raw_return(raw_syscall(SYS_write, fd, (long)buf, (long)len, 0, 0, 0));
}

static int early_close(int fd)
{
    return (int)raw_return(raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0));
}

/* What a malloc that is called by dlsym has been seen to need. */
static const struct real early = { .read = early_read, .write = early_write, .close = early_close };

#define SYMBOL(ret, name, params, args, failure) \
    static ret missing_##name params             \
    {                                            \
        errno = ENOSYS;                          \
        return failure;                          \
    }
#define VARIADIC(ret, name, params)  \
    static ret missing_##name params \
    {                                \
        errno = ENOSYS;              \
        return -1;                   \
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "preload/libc/symbols.def"
#pragma GCC diagnostic pop
#undef SYMBOL
#undef VARIADIC

bool real_resolve(void)
{
    if (resolving)
        return false;
    resolving = true;
    int saved = errno;
    lookup_begin();
#define LOOKUP(name)                              \
    do {                                          \
        void *found = lookup_next(#name);         \
        if (!found)                               \
            found = dlsym(RTLD_NEXT, #name);      \
        if (found)                                \
            *(void **)&real.name = found;         \
        else                                      \
            real.name = missing_##name;           \
    } while (0);
#define SYMBOL(ret, name, params, args, failure) LOOKUP(name)
#define VARIADIC(ret, name, params) LOOKUP(name)
#include "preload/libc/symbols.def"
#undef SYMBOL
#undef VARIADIC
    errno = saved;
    resolving = false;
    return true;
}

#define SYMBOL(ret, name, params, args, failure)          \
    static ret first_##name params                        \
    {                                                     \
        if (real_resolve())                               \
            return real.name args;                        \
        return early.name ? early.name args : missing_##name args; \
    }
#define VARIADIC(ret, name, params)
#include "preload/libc/symbols.def"
#undef SYMBOL
#undef VARIADIC

/* The third argument of these is a word, whatever its type. */
static int first_fcntl(int fd, int command, ...)
{
    void *argument[1];
    REAL_WORDS(argument, command);
    if (real_resolve())
        return real.fcntl(fd, command, argument[0]);
    return (int)raw_return(raw_syscall(RAW_FCNTL, fd, command, (long)argument[0], 0, 0, 0));
}

static int first_fcntl64(int fd, int command, ...)
{
    void *argument[1];
    REAL_WORDS(argument, command);
    return first_fcntl(fd, command, argument[0]);
}

static int first_ioctl(int fd, real_ioctl_request request, ...)
{
    void *argument[1];
    REAL_WORDS(argument, request);
    if (real_resolve())
        return real.ioctl(fd, request, argument[0]);
    return (int)raw_return(raw_syscall(SYS_ioctl, fd, (long)request, (long)argument[0], 0, 0, 0));
}

static int first_prctl(int option, ...)
{
    unsigned long a[4];
    REAL_WORDS(a, option);
    if (real_resolve())
        return real.prctl(option, a[0], a[1], a[2], a[3]);
    return (int)raw_return(raw_syscall(SYS_prctl, option, (long)a[0], (long)a[1], (long)a[2],
                                       (long)a[3], 0));
}

static int first_clone(int (*start)(void *), void *stack, int flags, void *arg, ...)
{
    void *a[3];
    REAL_WORDS(a, arg);
    if (real_resolve())
        return real.clone(start, stack, flags, arg, a[0], a[1], a[2]);
    return missing_clone(start, stack, flags, arg);
}

static long first_syscall(long number, ...)
{
    long a[6];
    REAL_WORDS(a, number);
    if (real_resolve())
        return real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return raw_return(raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}
