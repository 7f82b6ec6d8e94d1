/* SPDX-License-Identifier: ISC */
/* hook: what every file of exported symbols needs.  In those files: our function first, the exported
 * symbol last; `real.close` is libc's, `close` is ours. */
#ifndef HOLDFAST_PRELOAD_HOOK_H
#define HOLDFAST_PRELOAD_HOOK_H

#include "base/pieces.h"
#include "preload/conn/conn.h"
#include "preload/conn/under.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* The way of a tracked fd, kept out of the hook: an untracked one saves no registers. */
#define OUT_OF_LINE __attribute__((noinline))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* How a call on an fd begins, in this order everywhere: is the fd in the table, is it one of ours, whose memory is this,
 * is the call a cancellation point, can the conn be locked. */
enum hook_entry {
    PLAIN,   /* make libc's call: the fd is not tracked, or this is a vfork child, in its parent's memory */
    OURS,    /* to the program the fd is closed: EBADF */
    BUSY,    /* gone meanwhile, or this is a signal handler that has interrupted the holder of the lock: conn_answer_busy,
                conn_close_from_handler, or libc's call */
    ENTERED, /* *c is locked, and what the call needs is true: conn_leave follows */
};

enum { CANCELLATION_POINT = 4 }; /* added to an enum need: the call is one (pthreads(7)) */

/* *c is NULL unless ENTERED.  The exported functions that are called often ask for a tracked fd before, by the same load
 * and branch: then libc's call is all that they do, and they save no registers. */
static inline enum hook_entry hook_enter(int fd, unsigned need, struct conn **c)
{
    const struct conn *found = conn_find(fd);

    *c = NULL;
    if (likely(!found) || !self_is_ours())
        return PLAIN;
    if (found == CONN_PRIVATE)
        return OURS;
    if (need & CANCELLATION_POINT) /* inside, only what may wait can be cancelled */
        pthread_testcancel();
    *c = conn_enter_ours(fd, need & ~(unsigned)CANCELLATION_POINT);
    return *c ? ENTERED : BUSY;
}

/* The first steps alone: is the fd one of ours, in our memory?  A vfork child may have put something of its own there. */
static inline bool hook_hides(int fd)
{
    return conn_find(fd) == CONN_PRIVATE && self_is_ours();
}

/* hooks/fd.c: the number is about to mean something else, or nothing, by a call of libc's own. */
void hook_number_goes(int fd);

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

/* hooks/identity.c: the system calls that change a user or a namespace, or make a process.  False: none of them. */
bool hook_identity_syscall(long number, const long a[6], long *result);

/* hooks/stdio.c: 0 has become a tracked socket in mid-exchange (it was handed over, or dup2 put it there):
 * the stream stdin reads through us.  Where stdin is a variable, as in glibc. */
void hook_stdio_take_stdin(void);

/* hooks/file.c: does the kernel take these flags of preadv2(2) for a socket? */
bool hook_takes_flags(int flags);

/* preadv2(2), pwritev2(2): an offset of -1 means the stream's own; a socket takes no other. */
static inline bool hook_is_stream(int fd, int64_t offset, int flags)
{
    return !likely(!conn_find(fd)) && offset == -1 && (!flags || hook_takes_flags(flags));
}

/* Their flags as those of recvmsg(2) and sendmsg(2): the others of them mean nothing to a socket. */
static inline int hook_message_flags(int flags)
{
    enum { NOWAIT = 8 }; /* RWF_NOWAIT, whether libc knows it or not */

    return flags & NOWAIT ? MSG_DONTWAIT : 0;
}

/* Pieces that the kernel refuses before it looks at the socket, too many or too long (readv(2)): make libc's call. */
static inline bool hook_is_refused(const struct iovec *iov, size_t n)
{
    enum { MOST = 1024 }; /* IOV_MAX */
    bool refused = n > MOST;

    for (size_t i = 0; i < n && !refused; i++)
        refused = (ssize_t)iov[i].iov_len < 0;
    return refused;
}

/* Of readv and writev and their kind: do these pieces reach the socket?  Without a byte in all they do not, and the answer is 0,
 * where recvmsg and sendmsg ask the socket. */
static inline bool hook_reaches_socket(const struct iovec *iov, int n)
{
    return n > 0 && !hook_is_refused(iov, (size_t)n) && pieces_total(iov, (size_t)n);
}

/* Locked.  ENDED: what the client sets on the socket from here on is the kernel's to judge and to remember: under_end_of_its_own.
 * Not behind a seccomp filter, which may kill us for the calls that this takes. */
static inline bool hook_end_of_its_own(struct conn *c)
{
    return c->after.own_end || (self.active && under_end_of_its_own(c));
}

/* Should a reused connection break before its answer begins, another one takes its place: until then the
 * client is to take it for sound. */
static inline bool hook_may_replace(const struct conn *c)
{
    bool asked = conn_is_asked(c) || conn_is_secured(c);

    return c->reused && (conn_is_leased(c) || (asked && !exchange_answered(&c->x)));
}

/* A sleep that a signal ended before it began: all of it is left.  Returns EINTR. */
static inline int hook_unslept(void *left, const void *time, size_t size)
{
    if (left)
        memcpy(left, time, size);
    return EINTR;
}

/* -errno as libc gives it. */
static inline ssize_t hook_result(ssize_t result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

/* What a call that moves bytes answers where it did not enter: CONN_PLAIN, or -1 and errno. */
static inline ssize_t hook_unmoved(enum hook_entry entry, int fd, int flags)
{
    ssize_t answer = entry == OURS ? -EBADF : entry == BUSY ? conn_answer_busy(fd, flags) : CONN_PLAIN;

    return answer == CONN_PLAIN ? CONN_PLAIN : hook_result(answer);
}

/* As the kernel answers a send: the signal comes first, to this thread. */
ssize_t hook_sent(ssize_t result, int flags);

/* wire_send, wire_receive. */
typedef ssize_t hook_mover(struct conn *c, int fd, const struct iovec *iov, int n, int flags);

/* A call that moves bytes.  CONN_PLAIN, or the answer with errno set. */
static inline __attribute__((always_inline)) ssize_t hook_move(hook_mover *move, enum need need, int fd, const struct iovec *iov,
                                                               int n, int flags)
{
    struct conn *c;
    int saved = errno;
    enum hook_entry entry = hook_enter(fd, need | CANCELLATION_POINT, &c);

    if (entry != ENTERED)
        return hook_unmoved(entry, fd, flags);
    ssize_t result = move(c, fd, iov, n, flags);
    conn_leave(c);
    errno = saved;
    return result == CONN_PLAIN || result >= 0 ? result : hook_sent(result, flags);
}

#endif
