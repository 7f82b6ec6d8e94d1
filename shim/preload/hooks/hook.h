/* hook: what every file of exported symbols needs.  In those files: our function first, the exported
 * symbol last; `real.close` is libc's, `close` is ours. */
#ifndef HOLDFAST_PRELOAD_HOOK_H
#define HOLDFAST_PRELOAD_HOOK_H

#include "preload/conn/conn.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"

#include <errno.h>

/* The way of a tracked fd, kept out of the hook: an untracked one saves no registers. */
#define OUT_OF_LINE __attribute__((noinline))

#define likely(x) __builtin_expect(!!(x), 1)

/* `c`, as the table has it, stands for a number of ours: to the program it is closed.  In a vfork child, who may
 * have put something of its own there, it is not. */
static inline bool hook_hides(const struct conn *c)
{
    return c == &conn_private && self_is_ours();
}

#define SYMBOL(ret, name, params, args, failure) __attribute__((visibility("default"))) ret name params;
#define VARIADIC(ret, name, params) __attribute__((visibility("default"))) ret name params;
#include "preload/libc/symbols.def"
#undef SYMBOL
#undef VARIADIC

/* Replaced as well, but made out of others of the list. */
__attribute__((visibility("default"))) int dprintf(int fd, const char *format, ...);
__attribute__((visibility("default"))) int __dprintf_chk(int fd, int flag, const char *format, ...);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int execv(const char *path, char *const argv[]);
EXPORTED int execvp(const char *file, char *const argv[]);
EXPORTED int execl(const char *path, const char *arg, ...);
EXPORTED int execlp(const char *file, const char *arg, ...);
EXPORTED int execle(const char *path, const char *arg, ...);

#if REAL_TIME64
EXPORTED int __fcntl_time64(int fd, int command, ...);
EXPORTED int __ioctl_time64(int fd, real_ioctl_request request, ...);
EXPORTED int __prctl_time64(int option, ...);
EXPORTED int __getsockopt64(int fd, int level, int name, void *value, socklen_t *len);
EXPORTED int __setsockopt64(int fd, int level, int name, const void *value, socklen_t len);
EXPORTED ssize_t __sendmsg64(int fd, const struct msghdr *msg, int flags);
EXPORTED int __sendmmsg64(int fd, struct mmsghdr *msgs, unsigned n, real_mmsg_flags flags);
#endif

/* hooks/wait.c: before a long wait.  Leaves idle connections to others, and says whether a handler ran for a
 * signal that came meanwhile: the wait that was to follow is over then. */
bool hook_wait_interrupted(void);

/* hooks/identity.c: the system calls that change a user or a namespace, or make a process.  False: none of them. */
bool hook_identity_syscall(long number, const long a[6], long *result);

/* hooks/stdio.c: 0 has become a tracked socket in mid-exchange (it was handed over, or dup2 put it there):
 * the stream stdin reads through us.  Where stdin is a variable, as in glibc. */
void hook_stdio_take_stdin(void);

/* -errno as libc gives it. */
static inline ssize_t hook_result(ssize_t result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

#endif
