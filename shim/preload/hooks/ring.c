/* SPDX-License-Identifier: ISC */
/* liburing makes its system calls without libc.  What makes a ring of its own, or maps one that is there, is replaced:
 * see rings.h.  liburing is nobody's neighbour until it is called, so it is looked up then, and where its caller found it:
 * a library that was opened by dlopen has its own order. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/life/rings.h"

#include <dlfcn.h>

struct io_uring;
struct io_uring_params;

EXPORTED int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
EXPORTED int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
EXPORTED int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring, struct io_uring_params *params, void *bytes,
                                     size_t len);
EXPORTED int io_uring_setup(unsigned entries, struct io_uring_params *params);
EXPORTED int io_uring_queue_mmap(int fd, struct io_uring_params *params, struct io_uring *ring);

/* liburing's function, or NULL. */
static void *find(const char *name, void *caller)
{
    void *found = dlsym(RTLD_NEXT, name);
    Dl_info info;

    if (found || !dladdr(caller, &info) || !info.dli_fname)
        return found;
    void *opened = dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_LAZY);
    if (!opened)
        return NULL;
    found = dlsym(opened, name);
    dlclose(opened);
    return found;
}

/* As liburing's functions answer: a number or 0, or -errno. */
static int made(int result)
{
    if (result >= 0)
        rings_begin();
    return result;
}

#define FIND(name) find(#name, __builtin_return_address(0))

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
    int (*real_init)(unsigned, struct io_uring *, unsigned) = FIND(io_uring_queue_init);

    return real_init ? made(real_init(entries, ring, flags)) : -ENOSYS;
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    int (*real_init)(unsigned, struct io_uring *, struct io_uring_params *) = FIND(io_uring_queue_init_params);

    return real_init ? made(real_init(entries, ring, params)) : -ENOSYS;
}

int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring, struct io_uring_params *params, void *bytes,
                            size_t len)
{
    int (*real_init)(unsigned, struct io_uring *, struct io_uring_params *, void *, size_t) =
        FIND(io_uring_queue_init_mem);

    return real_init ? made(real_init(entries, ring, params, bytes, len)) : -ENOSYS;
}

int io_uring_setup(unsigned entries, struct io_uring_params *params)
{
    int (*real_setup)(unsigned, struct io_uring_params *) = FIND(io_uring_setup);

    return real_setup ? made(real_setup(entries, params)) : -ENOSYS;
}

int io_uring_queue_mmap(int fd, struct io_uring_params *params, struct io_uring *ring)
{
    int (*real_mmap)(int, struct io_uring_params *, struct io_uring *) = FIND(io_uring_queue_mmap);

    return real_mmap ? made(real_mmap(fd, params, ring)) : -ENOSYS;
}
