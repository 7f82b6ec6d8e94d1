/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "base/policy.h"

#include "base/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

bool policy_filters(void)
{
    static const char field[] = "\nSeccomp:\t";
    static char text[4096]; /* at the start, before there are threads */
    int saved = errno;
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/status", O_RDONLY | O_CLOEXEC);
    long len = fd < 0 ? -1 : syscall(SYS_read, fd, text, sizeof text);

    if (fd >= 0)
        syscall(SYS_close, fd);
    errno = saved;
    const char *found = len > 0 ? memmem(text, (size_t)len, field, sizeof field - 1) : NULL;
    return found && found + sizeof field - 1 < text + len && found[sizeof field - 1] != '0';
}

/* What comes of a call on no descriptor, unless a filter says otherwise. */
static bool is_let(long result)
{
    return result == -1 && errno == EBADF;
}

/* Without these the library cannot stand in for the program's own calls. */
static bool core_calls(void)
{
#ifdef SYS_readlink
    char link;
    if (syscall(SYS_readlink, "/proc/self/exe", &link, 1) != 1)
        return false;
#endif
    const struct timespec none = { 0 };
    char byte = 0;
    struct msghdr message = { 0 };

    return is_let(syscall(SYS_dup3, -1, 0, O_CLOEXEC)) && is_let(syscall(SYS_connect, -1, NULL, 0)) &&
           is_let(syscall(SYS_getsockopt, -1, SOL_SOCKET, SO_TYPE, &byte, &byte)) &&
           is_let(syscall(SYS_setsockopt, -1, SOL_SOCKET, SO_LINGER, &byte, 1)) &&
           is_let(syscall(SYS_getsockname, -1, &byte, &byte)) &&
           is_let(syscall(SYS_recvfrom, -1, &byte, 1, MSG_DONTWAIT, NULL, NULL)) &&
           is_let(syscall(SYS_sendto, -1, &byte, 1, MSG_DONTWAIT, NULL, 0)) &&
           is_let(syscall(SYS_recvmsg, -1, &message, MSG_DONTWAIT)) &&
           is_let(syscall(SYS_sendmsg, -1, &message, MSG_DONTWAIT)) &&
           is_let(syscall(SYS_shutdown, -1, SHUT_RD)) && is_let(syscall(SYS_fcntl, -1, F_DUPFD_CLOEXEC, 0)) &&
           is_let(syscall(SYS_ioctl, -1, FIONREAD, &byte)) &&
           syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", &byte, 1) == 1 && syscall(SYS_ppoll, NULL, 0, &none, NULL, 0) == 0;
}

/* What is only not to kill: the library does without where it is refused. */
static void other_calls(void)
{
    struct timespec now;
    sigset_t mask;
    char text[8];
    int ends[2];

    syscall(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    syscall(SYS_bind, -1, NULL, 0);
    syscall(SYS_listen, -1, 1);
    syscall(SYS_accept4, -1, NULL, NULL, 0);
    syscall(SYS_epoll_ctl, -1, 1, -1, NULL);
#ifdef SYS_poll
    syscall(SYS_poll, NULL, 0, 0);
#endif
#ifdef SYS_close_range
    syscall(SYS_close_range, ~0u, ~0u, 0);
#endif
    syscall(SYS_memfd_create, "holdfast", 1);
    syscall(SYS_lseek, -1, 0, SEEK_SET);
    syscall(SYS_ftruncate, -1, 0);
    syscall(SYS_pread64, -1, text, 1, 0, 0);
    syscall(SYS_madvise, NULL, 0, MADV_NORMAL);
    syscall(SYS_mmap, NULL, 0, 0, 0, -1, 0);
    syscall(SYS_munmap, NULL, 0);
    syscall(SYS_getpid);
    syscall(SYS_getppid);
    syscall(SYS_getresuid, NULL, NULL, NULL);
    syscall(SYS_getresgid, NULL, NULL, NULL);
    syscall(SYS_fgetxattr, -1, "user.none", NULL, 0);
#ifdef SYS_statx
    syscall(SYS_statx, -1, NULL, 0, 0, NULL);
#endif
#ifdef SYS_pidfd_open
    syscall(SYS_pidfd_open, -1, 0);
#endif
    syscall(SYS_getuid);
    syscall(SYS_geteuid);
    syscall(SYS_getrandom, text, 1, 1);
    syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &now);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
    syscall(SYS_futex, text, FUTEX_WAKE, 0, NULL, NULL, 0);
}

bool policy_allows(void)
{
    const struct rlimit no_core = { 0, 0 };
    int saved = errno, status = -1;
    long pid = syscall(SYS_clone, 0, 0, 0, 0, 0);

    if (pid == 0) {
        syscall(SYS_prlimit64, 0, RLIMIT_CORE, &no_core, NULL);
        other_calls();
        bool fine = core_calls();
        for (;;)
            syscall(SYS_exit_group, !fine);
    }
    while (pid > 0 && syscall(SYS_wait4, pid, &status, __WCLONE, NULL) < 0 && errno == EINTR)
        ;
    errno = saved;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
