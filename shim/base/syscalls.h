/* SPDX-License-Identifier: ISC */
/* syscalls: the numbers of system calls, those that the C library's own headers are too old for as well: what is built
 * with glibc 2.28 runs on every later kernel.  From 403 on a call has the same number on all machines, but for the
 * offsets below (the kernel's syscall.tbl files). */
#ifndef HOLDFAST_BASE_SYSCALLS_H
#define HOLDFAST_BASE_SYSCALLS_H

#include <sys/syscall.h>

#if defined(__alpha__)
#define SYSCALLS_OFFSET 110
#elif defined(__mips__) && _MIPS_SIM == _ABIO32
#define SYSCALLS_OFFSET 4000
#elif defined(__mips__) && _MIPS_SIM == _ABI64
#define SYSCALLS_OFFSET 5000
#elif defined(__mips__)
#define SYSCALLS_OFFSET 6000
#elif defined(__x86_64__) && defined(__ILP32__)
#define SYSCALLS_OFFSET 0x40000000
#else
#define SYSCALLS_OFFSET 0
#endif

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup (SYSCALLS_OFFSET + 425)
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open (SYSCALLS_OFFSET + 434)
#endif
#ifndef SYS_clone3
#define SYS_clone3 (SYSCALLS_OFFSET + 435)
#endif
#ifndef SYS_close_range
#define SYS_close_range (SYSCALLS_OFFSET + 436)
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd (SYSCALLS_OFFSET + 438)
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 (SYSCALLS_OFFSET + 441)
#endif

/* Of close_range(2). */
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4
#endif

#endif
