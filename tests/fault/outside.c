/* SPDX-License-Identifier: ISC */
/* What the shim calls past its table of real symbols. */
#define _GNU_SOURCE
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
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

EXPORTED int munmap(void *at, size_t len)
{
    NEXT(munmap);
    FAIL_IF_TOLD("munmap", len, -1);
    return next(at, len);
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

EXPORTED int openat(int at, const char *path, int flags, ...)
{
    NEXT(openat);
    va_list ap;
    va_start(ap, flags);
    mode_t mode = (mode_t)va_arg(ap, int);
    va_end(ap);
    FAIL_IF_TOLD("openat", flags, -1);
    return next(at, path, flags, mode);
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

EXPORTED int prlimit(pid_t pid, __rlimit_resource_t which, const struct rlimit *limit, struct rlimit *before)
{
    NEXT(prlimit);
    FAIL_IF_TOLD("prlimit", which, -1);
    return next(pid, which, limit, before);
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

EXPORTED ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
    NEXT(getrandom);
    FAIL_IF_TOLD("getrandom", 0, -1);
    return next(buf, len, flags);
}

EXPORTED int access(const char *path, int how)
{
    NEXT(access);
    FAIL_IF_TOLD("access", how, -1);
    return next(path, how);
}

EXPORTED int faccessat(int at, const char *path, int how, int flags)
{
    NEXT(faccessat);
    FAIL_IF_TOLD("faccessat", how, -1);
    return next(at, path, how, flags);
}

EXPORTED ssize_t fgetxattr(int fd, const char *name, void *value, size_t len)
{
    NEXT(fgetxattr);
    FAIL_IF_TOLD("fgetxattr", fd, -1);
    return next(fd, name, value, len);
}

EXPORTED int kill(pid_t pid, int signal)
{
    NEXT(kill);
    FAIL_IF_TOLD("kill", pid, -1);
    return next(pid, signal);
}

EXPORTED int stat(const char *path, struct stat *st)
{
    NEXT(stat);
    FAIL_IF_TOLD("stat", 0, -1);
    return next(path, st);
}

EXPORTED int signalfd(int fd, const sigset_t *mask, int flags)
{
    NEXT(signalfd);
    FAIL_IF_TOLD("signalfd", fd, -1);
    return next(fd, mask, flags);
}

EXPORTED int fstatfs(int fd, struct statfs *st)
{
    NEXT(fstatfs);
    FAIL_IF_TOLD("fstatfs", fd, -1);
    return next(fd, st);
}

EXPORTED int fstat(int fd, struct stat *st)
{
    NEXT(fstat);
    FAIL_IF_TOLD("fstat", fd, -1);
    return next(fd, st);
}

EXPORTED int chmod(const char *path, mode_t mode)
{
    NEXT(chmod);
    FAIL_IF_TOLD("chmod", mode, -1);
    return next(path, mode);
}

EXPORTED int fchmod(int fd, mode_t mode)
{
    NEXT(fchmod);
    FAIL_IF_TOLD("fchmod", fd, -1);
    return next(fd, mode);
}

EXPORTED int lstat(const char *path, struct stat *st)
{
    NEXT(lstat);
    FAIL_IF_TOLD("lstat", 0, -1);
    return next(path, st);
}

EXPORTED int flock(int fd, int operation)
{
    NEXT(flock);
    FAIL_IF_TOLD("flock", fd, -1);
    return next(fd, operation);
}

EXPORTED int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    FAIL_IF_TOLD("mkdir", mode, -1);
    return next(path, mode);
}

EXPORTED ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
    NEXT(pwrite);
    FAIL_IF_TOLD("pwrite", fd, -1);
    return next(fd, buf, len, offset);
}

EXPORTED int socketpair(int family, int type, int protocol, int ends[2])
{
    NEXT(socketpair);
    FAIL_IF_TOLD("socketpair", type, -1);
    return next(family, type, protocol, ends);
}

EXPORTED int pipe2(int ends[2], int flags)
{
    NEXT(pipe2);
    FAIL_IF_TOLD("pipe2", flags, -1);
    return next(ends, flags);
}

EXPORTED ssize_t tee(int in, int out, size_t len, unsigned flags)
{
    NEXT(tee);
    FAIL_IF_TOLD("tee", in, -1);
    return next(in, out, len, flags);
}

EXPORTED int setvbuf(FILE *stream, char *buffer, int mode, size_t len)
{
    NEXT(setvbuf);
    FAIL_IF_TOLD("setvbuf", mode, -1);
    return next(stream, buffer, mode, len);
}

EXPORTED int unlink(const char *path)
{
    NEXT(unlink);
    FAIL_IF_TOLD("unlink", 0, -1);
    return next(path);
}

EXPORTED int utimensat(int at, const char *path, const struct timespec times[2], int flags)
{
    NEXT(utimensat);
    FAIL_IF_TOLD("utimensat", flags, -1);
    return next(at, path, times, flags);
}

/* These return their errors. */
EXPORTED int pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
    NEXT(pthread_key_create);
    FAIL_IF_TOLD("pthread_key_create", 0, fault.error);
    return next(key, destroy);
}

EXPORTED int pthread_setspecific(pthread_key_t key, const void *value)
{
    NEXT(pthread_setspecific);
    FAIL_IF_TOLD("pthread_setspecific", 0, fault.error);
    return next(key, value);
}
