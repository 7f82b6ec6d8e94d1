/* SPDX-License-Identifier: ISC */
/* What a glibc before 2.33 has under no name that can be linked to.  Part of the library of `make portable`
 * only (scripts/packaging/link-unversioned); nobody else sees these. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __LP64__
#error "struct stat is the kernel's own on 64-bit machines only"
#endif

#pragma GCC visibility push(hidden)

int fstat(int fd, struct stat *status)
{
    return (int)syscall(SYS_fstat, fd, status);
}

int stat(const char *path, struct stat *status)
{
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, 0);
}

int lstat(const char *path, struct stat *status)
{
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

#pragma GCC visibility pop
