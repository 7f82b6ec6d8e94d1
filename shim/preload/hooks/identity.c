/* SPDX-License-Identifier: ISC */
/* What makes a thread or a process somebody else, or puts it elsewhere: the setuid family, setns, unshare, and
 * clone(2), whose child may be either.  By libc's calls, which the whole process follows (nptl(7)), and by
 * syscall(2), which this thread alone does. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "base/syscalls.h"
#include "preload/self/identity.h"
#include "preload/conn/deferred.h"
#include "preload/life/exit.h"
#include "preload/life/fork.h"
#include "preload/life/user.h"
#include "preload/self/self.h"
#include "preload/self/vfork.h"

#include <linux/sched.h>
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#ifndef CLONE_NEWUSER
#define CLONE_NEWUSER 0x10000000
#endif
#ifndef CLONE_NEWNET
#define CLONE_NEWNET 0x40000000
#endif

static unsigned kinds_of(unsigned long flags)
{
    return (flags & CLONE_NEWUSER ? IDENTITY_USER | IDENTITY_USER_NAMESPACE : 0u) |
           (flags & CLONE_NEWNET ? IDENTITY_NETWORK : 0u);
}

static int set_namespace(int fd, int kind)
{
    const unsigned kinds = kinds_of(kind ? (unsigned)kind : CLONE_NEWUSER | CLONE_NEWNET);

    user_changing(kinds);
    int result = real.setns(fd, kind);
    user_changed(kinds, result == 0, true); /* into a user namespace only a single thread goes (setns(2)) */
    return result;
}

/* With a table of descriptors for each thread a number means nothing any more. */
static int leave_namespaces(int flags)
{
    const unsigned kinds = kinds_of((unsigned)flags);

    if (flags & CLONE_FILES && !self_alone() && self.active && self_is_ours())
        exit_retire();
    user_changing(kinds);
    int result = real.unshare(flags);
    user_changed(kinds, result == 0, true);
    return result;
}

int setns(int fd, int kind)
{
    return set_namespace(fd, kind);
}

int unshare(int flags)
{
    return leave_namespaces(flags);
}

#define CHANGE_USER(kind, call)                     \
    user_changing(kind);                           \
    int result = call;                              \
    user_changed(kind, result == 0, true);         \
    return result

int setuid(uid_t uid)
{
    CHANGE_USER(IDENTITY_USER, real.setuid(uid));
}

int seteuid(uid_t uid)
{
    CHANGE_USER(IDENTITY_USER, real.seteuid(uid));
}

int setreuid(uid_t real_uid, uid_t uid)
{
    CHANGE_USER(IDENTITY_USER, real.setreuid(real_uid, uid));
}

int setresuid(uid_t real_uid, uid_t uid, uid_t saved)
{
    CHANGE_USER(IDENTITY_USER, real.setresuid(real_uid, uid, saved));
}

/* Of this thread only, and it never fails: it answers who it was before. */
int setfsuid(uid_t uid)
{
    user_changing(IDENTITY_FSUID);
    int before = real.setfsuid(uid);
    user_changed(IDENTITY_FSUID, true, false);
    return before;
}

/* A child in memory of its own begins with what any child of a fork does. */
struct birth {
    int (*start)(void *);
    void *arg;
};

static int begin_life(void *arg)
{
    const struct birth birth = *(const struct birth *)arg;

    fork_repair_unseen();
    return birth.start(birth.arg);
}

enum child { CHILD_THREAD, CHILD_BORROWS, CHILD_SHARES, CHILD_FORKED };

static enum child kind_of_child(unsigned long flags)
{
    if (!(flags & CLONE_VM))
        return CHILD_FORKED;
    return flags & CLONE_THREAD ? CHILD_THREAD : flags & CLONE_VFORK ? CHILD_BORROWS : CHILD_SHARES;
}

/* Before a clone.  True: fork_after is due. */
static bool before_clone(unsigned long flags)
{
    const enum child child = kind_of_child(flags);

    if (!self.active || !self_is_ours())
        return false;
    if (child == CHILD_THREAD) {
        self.threaded = true;
        deferred_before_wait();
    } else if (child == CHILD_BORROWS) {
        vfork_begin();
    } else if (child == CHILD_SHARES || flags & CLONE_FILES) {
        exit_retire(); /* two processes would keep one book about two tables of descriptors, or two about one */
    }
    if (child != CHILD_FORKED)
        return false;
    fork_before();
    return true;
}

int clone(int (*start)(void *), void *stack, int flags, void *arg, ...)
{
    void *a[3];
    REAL_WORDS(a, arg);
    struct birth birth = { start, arg };
    if (!before_clone((unsigned long)(unsigned)flags))
        return real.clone(start, stack, flags, arg, a[0], a[1], a[2]);
    int pid = real.clone(begin_life, stack, flags, &birth, a[0], a[1], a[2]);
    fork_after();
    return pid;
}

static long raw_clone(long number, unsigned long flags, const long a[6])
{
    bool forks = before_clone(flags);
    long pid = real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);

    if (forks && pid == 0)
        fork_repair_unseen();
    else if (forks)
        fork_after();
    return pid;
}

static bool makes_process(long number, const long a[6], long *result)
{
    switch (number) {
    case SYS_clone:
#ifdef __s390__
        *result = raw_clone(number, (unsigned long)a[1], a);
#else
        *result = raw_clone(number, (unsigned long)a[0], a);
#endif
        return true;
#ifdef SYS_clone3
    case SYS_clone3: /* the flags are the first field */
        if (!a[0] || (size_t)a[1] < sizeof(uint64_t))
            return false;
        *result = raw_clone(number, (unsigned long)*(const uint64_t *)a[0], a);
        return true;
#endif
#ifdef SYS_fork
    case SYS_fork:
        *result = raw_clone(number, 0, a);
        return true;
#endif
    default:
        return false;
    }
}

static bool is_user_call(long number)
{
    switch (number) {
    case SYS_setuid:
    case SYS_setreuid:
    case SYS_setresuid:
#ifdef SYS_setuid32
    case SYS_setuid32:
    case SYS_setreuid32:
    case SYS_setresuid32:
#endif
        return true;
    default:
        return false;
    }
}

static bool is_fsuid_call(long number)
{
#ifdef SYS_setfsuid32
    if (number == SYS_setfsuid32)
        return true;
#endif
    return number == SYS_setfsuid;
}

bool hook_identity_syscall(long number, const long a[6], long *result)
{
    const unsigned kind = is_fsuid_call(number) ? IDENTITY_FSUID : IDENTITY_USER;

    if (number == SYS_setns) {
        *result = set_namespace((int)a[0], (int)a[1]);
        return true;
    }
    if (number == SYS_unshare) {
        *result = leave_namespaces((int)a[0]);
        return true;
    }
    if (!is_user_call(number) && !is_fsuid_call(number))
        return makes_process(number, a, result);
    user_changing(kind);
    *result = real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    user_changed(kind, kind == IDENTITY_FSUID || *result == 0, false);
    return true;
}
