/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "base/kernel.h"

#include "base/raw.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifdef SYS_geteuid32 /* the plain ones tell 16 bits */
#define RAW_GETUID SYS_getuid32
#define RAW_GETEUID SYS_geteuid32
#define RAW_GETEGID SYS_getegid32
#else
#define RAW_GETUID SYS_getuid
#define RAW_GETEUID SYS_geteuid
#define RAW_GETEGID SYS_getegid
#endif

static long ask(long number)
{
    return raw_syscall(number, 0, 0, 0, 0, 0, 0);
}

/* No id: where raw_syscall knows no instruction. */
static bool is_id(long answer)
{
    return answer >= 0 || answer < -4095;
}

uint32_t kernel_uid(void)
{
    long id = ask(RAW_GETUID);

    return is_id(id) ? (uint32_t)id : getuid();
}

uint32_t kernel_euid(void)
{
    long id = ask(RAW_GETEUID);

    return is_id(id) ? (uint32_t)id : geteuid();
}

uint32_t kernel_egid(void)
{
    long id = ask(RAW_GETEGID);

    return is_id(id) ? (uint32_t)id : getegid();
}

/* struct statx, as far as it is wanted: older libcs do not declare it. */
struct extended {
    uint32_t mask, block;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, unused;
    uint64_t rest[28];
};
_Static_assert(sizeof(struct extended) == 256, "as linux/stat.h has it");

enum { TYPE_MODE_UID_GID = 1 | 2 | 8 | 16 };

static void take_kernels(int fd, const char *path, int flags, struct stat *status)
{
#ifdef SYS_statx
    struct extended told = { 0 };

    if (raw_syscall(SYS_statx, fd, (long)path, flags, TYPE_MODE_UID_GID, (long)&told, 0) != 0)
        return;
    status->st_mode = told.mode;
    status->st_uid = told.uid;
    status->st_gid = told.gid;
#endif
}

int kernel_fstat(int fd, struct stat *status)
{
    int result = fstat(fd, status);

    if (result == 0)
        take_kernels(fd, "", AT_EMPTY_PATH, status);
    return result;
}

int kernel_lstat(const char *path, struct stat *status)
{
    int result = lstat(path, status);

    if (result == 0)
        take_kernels(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, status);
    return result;
}

bool kernel_has_capabilities(int fd)
{
    long len = raw_syscall(SYS_fgetxattr, fd, (long)"security.capability", 0, 0, 0, 0);

    return (len == -ENOSYS ? fgetxattr(fd, "security.capability", NULL, 0) : len) > 0;
}

int kernel_seals(int fd)
{
    long seals = raw_syscall(RAW_FCNTL, fd, F_GET_SEALS, 0, 0, 0, 0);

    return seals == -ENOSYS ? fcntl(fd, F_GET_SEALS) : (int)raw_return(seals);
}
