/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/self/identity.h"

#include "base/lock.h"
#include "base/number.h"
#include "base/syscalls.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifdef SYS_getresuid32
#define RAW_GETRESUID SYS_getresuid32
#define RAW_GETRESGID SYS_getresgid32
#else
#define RAW_GETRESUID SYS_getresuid
#define RAW_GETRESGID SYS_getresgid
#endif
#ifdef SYS_setfsuid32
#define RAW_SETFSUID SYS_setfsuid32
#else
#define RAW_SETFSUID SYS_setfsuid
#endif

#define USER_NAMESPACE "/proc/thread-self/ns/user"

atomic_uint identity_changes;

struct who {
    uint32_t uid, gid;
    uint32_t user_namespace; /* its inode; 0: the one of the process's start */
    uint32_t real, effective, saved;
};

static struct {
    struct who who;
    _Atomic uint64_t netns;  /* 0: not asked yet */
    uint64_t user_namespace; /* its inode, once something may have changed it */
    atomic_uint kinds_changed;
} home;

/* What this thread was told, and how much had changed by then. */
static __thread struct {
    struct who who;
    unsigned who_at;
    uint64_t netns; /* of the sockets that it makes */
    unsigned netns_at;
} told;

static bool has_changed(unsigned kind)
{
    return atomic_load_explicit(&home.kinds_changed, memory_order_relaxed) & kind;
}

/* The number in `user:[4026531837]`; 0: there is none. */
static uint64_t inode_of(const char *link)
{
    char text[64];
    ssize_t len = readlink(link, text, sizeof text - 1);

    text[len > 0 ? len : 0] = '\0';
    const char *digits = strchr(text, '[');
    return digits ? number_at(digits + 1, 10) : 0;
}

void identity_start(void)
{
    home.who.real = (uint32_t)getauxval(AT_UID);
    home.who.uid = home.who.effective = home.who.saved = (uint32_t)getauxval(AT_EUID); /* exec sets the saved one */
    home.who.gid = (uint32_t)getauxval(AT_EGID);
}

void identity_changed(unsigned kinds)
{
    if (kinds & IDENTITY_USER_NAMESPACE && !has_changed(IDENTITY_USER_NAMESPACE))
        home.user_namespace = inode_of(USER_NAMESPACE);
    atomic_fetch_or(&home.kinds_changed, kinds);
    if (atomic_fetch_add(&identity_changes, 1) + 1 == 0)
        atomic_fetch_add(&identity_changes, 1); /* it never looks as if nothing had */
}

/* 0 by getppid if the parent is in another pid namespace: /proc may be one in which it has a number. */
static unsigned parent_number(void)
{
    unsigned pid = (unsigned)getppid();
    char text[512];
    int fd = pid ? -1 : open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return pid;
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    real.close(fd);
    text[len > 0 ? len : 0] = '\0';
    const char *line = strstr(text, "\nPPid:\t");
    return line ? (unsigned)number_at(line + strlen("\nPPid:\t"), 10) : 0;
}

/* Is the user namespace that of the parent, which was at home? */
static bool shares_user_namespace(void)
{
    static const char file[] = "/ns/user";
    char link[] = "/proc/4294967295/ns/user", digits[12];
    size_t n = 0;
    uint64_t mine = inode_of(USER_NAMESPACE);

    for (unsigned pid = parent_number(); pid; pid /= 10)
        digits[n++] = (char)('0' + pid % 10);
    char *at = link + strlen("/proc/");
    while (n)
        *at++ = digits[--n];
    memcpy(at, file, sizeof file);
    return mine && mine == inode_of(link);
}

void identity_reborn(void)
{
    int saved = errno;

    if (!has_changed(IDENTITY_USER_NAMESPACE) && !shares_user_namespace()) {
        identity_changed(IDENTITY_USER_NAMESPACE);
        home.user_namespace = 0; /* none that this process can be in */
    }
    identity_changed(IDENTITY_USER | IDENTITY_NETWORK);
    errno = saved;
}

/* Past libc, whose own may be another preloaded library's. */
static bool ask(struct who *who)
{
    if (real.syscall(RAW_GETRESUID, &who->real, &who->effective, &who->saved) != 0)
        return false;
    who->uid = who->effective;
    if (has_changed(IDENTITY_FSUID)) /* an invalid uid changes nothing, and the answer is the present one */
        who->uid = (uint32_t)real.syscall(RAW_SETFSUID, -1L);
    who->gid = home.who.gid;
    who->user_namespace = 0;
    if (!has_changed(IDENTITY_USER_NAMESPACE))
        return true;
    uint64_t inode = inode_of(USER_NAMESPACE);
    who->user_namespace = inode == home.user_namespace ? 0 : (uint32_t)inode;
    return inode != 0;
}

/* After `now` changes.  NULL: the kernel does not tell. */
static const struct who *ask_anew(unsigned now)
{
    int saved = errno;
    bool is_told = ask(&told.who);

    errno = saved;
    if (!is_told)
        return NULL;
    told.who_at = now;
    return &told.who;
}

/* NULL: the kernel does not tell. */
static inline const struct who *thread(void)
{
    unsigned now = atomic_load_explicit(&identity_changes, memory_order_acquire);

    if (now != told.who_at)
        return ask_anew(now);
    return now ? &told.who : &home.who;
}

static void sign_user(struct endpoint *key)
{
    const struct who *who = thread();

    key->uid = who ? who->uid : UINT32_MAX;
    key->gid = who ? who->gid : UINT32_MAX;
    key->user_namespace = who ? who->user_namespace : UINT32_MAX;
}

/* A number that never means two namespaces: the kernel's cookie; before Linux 5.14 an inode, which says where the
 * process is, but not where a socket is once something has moved.  0: neither. */
static uint64_t netns_of(int fd)
{
    bool moved = has_changed(IDENTITY_NETWORK);
    uint64_t cookie = moved ? 0 : atomic_load_explicit(&home.netns, memory_order_relaxed);

    if (cookie)
        return cookie;
    socklen_t len = sizeof cookie;
    int saved = errno;
    if (real.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) != 0)
        cookie = moved ? 0 : inode_of("/proc/self/ns/net");
    if (!has_changed(IDENTITY_NETWORK))
        atomic_store_explicit(&home.netns, cookie, memory_order_relaxed);
    errno = saved;
    return cookie;
}

/* Of a socket that this thread has just made.  After a change one socket is asked, and the thread has moved no
 * further until the next. */
static uint64_t netns_of_fresh(int fd)
{
    unsigned now = atomic_load_explicit(&identity_changes, memory_order_acquire);

    if (!has_changed(IDENTITY_NETWORK))
        return atomic_load_explicit(&home.netns, memory_order_relaxed);
    if (told.netns_at != now) {
        told.netns = netns_of(fd);
        told.netns_at = now;
    }
    return told.netns;
}

void identity_sign(struct endpoint *key, int fd)
{
    sign_user(key);
    key->netns = netns_of_fresh(fd);
}

static bool is_signed(const struct endpoint *key, const struct endpoint *by)
{
    return key->uid == by->uid && key->gid == by->gid && key->user_namespace == by->user_namespace;
}

bool identity_key(struct endpoint *key, const struct endpoint *made, int fd)
{
    sign_user(key);
    key->netns = made->netns ? made->netns : netns_of(fd);
    return key->netns != 0 && key->uid != UINT32_MAX && is_signed(key, made);
}

bool identity_fits(const struct endpoint *key, int fd)
{
    struct endpoint mine;

    if (!atomic_load_explicit(&identity_changes, memory_order_relaxed))
        return true;
    sign_user(&mine);
    return is_signed(key, &mine) && netns_of(fd) == key->netns;
}

bool identity_is_mine(const struct endpoint *made)
{
    struct endpoint mine;
    unsigned now = atomic_load_explicit(&identity_changes, memory_order_acquire);

    if (!now)
        return true;
    sign_user(&mine);
    return is_signed(made, &mine) &&
           (!has_changed(IDENTITY_NETWORK) || (told.netns_at == now && told.netns && made->netns == told.netns));
}

bool identity_is_of_home(const struct endpoint *key)
{
    return key->uid == home.who.uid && key->user_namespace == 0;
}

bool identity_at_home(void)
{
    const struct who *who = thread();

    return who && who->uid == home.who.uid && who->real == home.who.real && who->effective == home.who.effective &&
           !who->user_namespace;
}

/* A number of the line "Uid:" that is `uid`. */
static bool has_uid(const char *status, uint32_t uid)
{
    const char *line = strstr(status, "\nUid:"), *line_end = line ? strchr(line + 1, '\n') : NULL;

    for (const char *at = line ? line + strlen("\nUid:") : NULL; at && at < line_end; at += strcspn(at, "\t\n") + 1)
        if (*at >= '0' && *at <= '9' && number_at(at, 10) == uid)
            return true;
    return false;
}

/* Has the thread of this name in a folder of threads the uid?  In any doubt, yes. */
static bool thread_has_uid(int tasks, const char *name, uint32_t uid)
{
    static const char file[] = "/status";
    char path[32], text[512];
    size_t n = strlen(name);

    if (n + sizeof file > sizeof path)
        return true;
    memcpy(path, name, n + 1);
    memcpy(path + n, file, sizeof file);
    int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno != ENOENT; /* it has ended */
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    real.close(fd);
    if (len <= 0)
        return errno != ESRCH;
    text[len] = '\0';
    return has_uid(text, uid);
}

/* Without malloc: this may be a signal handler. */
static bool any_thread_has_uid(uint32_t uid)
{
    struct entry {
        uint64_t inode;
        int64_t next;
        unsigned short size;
        unsigned char type;
        char name[];
    };
    _Alignas(struct entry) char room[512];
    bool found = false;
    long len = 0;
    int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (tasks < 0)
        return true;
    while (!found && (len = real.syscall(SYS_getdents64, tasks, room, sizeof room)) > 0)
        for (long at = 0; !found && at < len; at += ((struct entry *)(room + at))->size) {
            const char *name = ((struct entry *)(room + at))->name;
            found = *name != '.' && thread_has_uid(tasks, name, uid);
        }
    real.close(tasks);
    return found || len < 0;
}

bool identity_has_left(bool everywhere)
{
    const struct who *who = thread();

    if (who && (who->uid == home.who.uid || who->real == home.who.uid || who->effective == home.who.uid ||
                who->saved == home.who.uid) && !who->user_namespace)
        return false;
    return everywhere || self_alone() || !any_thread_has_uid(home.who.uid);
}

bool identity_is_foreign(void)
{
    uint32_t real_uid, effective, saved_uid;

    return real.syscall(RAW_GETRESUID, &real_uid, &effective, &saved_uid) != 0 ||
           (real_uid != home.who.uid && effective != home.who.uid && saved_uid != home.who.uid);
}

bool identity_is_purely(uint32_t uid, uint32_t *gid)
{
    uint32_t u[3], g[3];
    int saved = errno;
    bool asked = real.syscall(RAW_GETRESUID, &u[0], &u[1], &u[2]) == 0 &&
                 real.syscall(RAW_GETRESGID, &g[0], &g[1], &g[2]) == 0;

    errno = saved;
    if (!asked)
        return false;
    *gid = g[1];
    return u[0] == uid && u[1] == uid && u[2] == uid && g[0] == g[1];
}
