/* What the shim calls past its table of real symbols. */
#define _GNU_SOURCE
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)
#define NEXT(name)                             \
    static __typeof__(&name) next;             \
    if (!next)                                 \
        *(void **)&next = fault_next(#name)

#define FAIL_IF_TOLD(name, first, failure)                                  \
    struct fault fault = fault_meet(name, (long)(first), false, CALLER);    \
    if (fault.what == FAULT_ERRNO) {                                        \
        errno = fault.error;                                                \
        return failure;                                                     \
    }

EXPORTED void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    NEXT(mmap);
    FAIL_IF_TOLD("mmap", len, MAP_FAILED);
    return next(at, len, protection, flags, fd, offset);
}

EXPORTED int madvise(void *at, size_t len, int advice)
{
    NEXT(madvise);
    FAIL_IF_TOLD("madvise", advice, -1);
    return next(at, len, advice);
}

EXPORTED int poll(struct pollfd *set, nfds_t n, int timeout)
{
    NEXT(poll);
    FAIL_IF_TOLD("poll", n ? set->fd : -1, -1);
    if (fault.what == FAULT_EOF) /* nothing came in time */
        return 0;
    return next(set, n, timeout);
}

EXPORTED int open(const char *path, int flags, ...)
{
    NEXT(open);
    va_list ap;
    va_start(ap, flags);
    mode_t mode = (mode_t)va_arg(ap, int);
    va_end(ap);
    FAIL_IF_TOLD("open", flags, -1);
    return next(path, flags, mode);
}

EXPORTED int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    NEXT(accept4);
    FAIL_IF_TOLD("accept4", fd, -1);
    return next(fd, from, len, flags);
}

EXPORTED int memfd_create(const char *name, unsigned flags)
{
    NEXT(memfd_create);
    FAIL_IF_TOLD("memfd_create", flags, -1);
    return next(name, flags);
}

EXPORTED int getrlimit(__rlimit_resource_t which, struct rlimit *limit)
{
    NEXT(getrlimit);
    FAIL_IF_TOLD("getrlimit", which, -1);
    return next(which, limit);
}

EXPORTED int setrlimit(__rlimit_resource_t which, const struct rlimit *limit)
{
    NEXT(setrlimit);
    FAIL_IF_TOLD("setrlimit", which, -1);
    return next(which, limit);
}

EXPORTED off_t lseek(int fd, off_t offset, int whence)
{
    NEXT(lseek);
    FAIL_IF_TOLD("lseek", fd, -1);
    return next(fd, offset, whence);
}

EXPORTED ssize_t readlink(const char *path, char *buf, size_t len)
{
    NEXT(readlink);
    FAIL_IF_TOLD("readlink", 0, -1);
    return next(path, buf, len);
}

EXPORTED ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
    NEXT(pread);
    FAIL_IF_TOLD("pread", fd, -1);
    return next(fd, buf, fault.what == FAULT_ONE ? 1 : fault.what == FAULT_HALF ? (len + 1) / 2 : len, offset);
}

EXPORTED FILE *fopencookie(void *cookie, const char *mode, cookie_io_functions_t io)
{
    NEXT(fopencookie);
    FAIL_IF_TOLD("fopencookie", 0, NULL);
    return next(cookie, mode, io);
}

EXPORTED int ftruncate(int fd, off_t len)
{
    NEXT(ftruncate);
    FAIL_IF_TOLD("ftruncate", fd, -1);
    return next(fd, len);
}
