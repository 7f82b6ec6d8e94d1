/* SPDX-License-Identifier: ISC */
/* real: libc as it was before us.  Tests swap entries to inject faults.  The table can be used from
 * the first instruction on: until it is resolved (by whatever comes first, a call or our constructor)
 * its entries resolve it; what is called by the resolving itself ends in a raw system call. */
#ifndef HOLDFAST_PRELOAD_REAL_H
#define HOLDFAST_PRELOAD_REAL_H

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <threads.h>
#include <time.h>

struct iovec;
struct epoll_event;
struct mmsghdr;
#ifdef __GLIBC__
struct dirent64;
#elif !defined dirent64
#define dirent64 dirent
#endif

/* Where the two libcs disagree about a type. */
#ifdef __GLIBC__
typedef unsigned long real_ioctl_request;
typedef int real_mmsg_flags;
#else
typedef int real_ioctl_request;
typedef unsigned real_mmsg_flags;
#endif
/* A 32-bit glibc with 32-bit times has functions of other names for programs with 64-bit ones. */
#if defined __GLIBC__ && __TIMESIZE == 32
#define REAL_TIME64 1
struct real_timespec64 {
    int64_t tv_sec;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    int32_t pad, tv_nsec;
#else
    int32_t tv_nsec, pad;
#endif
};
struct real_timeval64 {
    int64_t tv_sec, tv_usec;
};
#else
#define REAL_TIME64 0
#endif

#undef sendfile64 /* musl's headers make macros of these */
#undef freopen64
#undef preadv64v2
#undef pwritev64v2
#undef readdir64

struct real {
#define SYMBOL(ret, name, params, args, failure) ret(*name) params;
#define VARIADIC(ret, name, params) ret(*name) params;
#include "preload/libc/symbols.def"
#undef SYMBOL
#undef VARIADIC
};

extern struct real real;

/* Fills the array `words` with what stands behind `last` in a variadic call. */
#define REAL_WORDS(words, last)                                                         \
    do {                                                                                \
        va_list behind_last;                                                            \
        va_start(behind_last, last);                                                    \
        for (unsigned nth = 0; nth < sizeof(words) / sizeof(*(words)); nth++)           \
            (words)[nth] = va_arg(behind_last, __typeof__(*(words)));                   \
        va_end(behind_last);                                                            \
    } while (0)

/* Resolves every entry.  False: called by the resolving itself. */
bool real_resolve(void);

#endif
