/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/share/shared.h"

#include "pool/tree.h"
#include "preload/self/identity.h"
#include "preload/fds/limit.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/libc/signals.h"

#include <errno.h>
#include <limits.h>
#include <sys/resource.h>

/* unix(7): sendmsg fails with ETOOMANYREFS when the user has more fds in flight than this process's
 * RLIMIT_NOFILE.  Lowered for the moment, that leaves room for the user's other programs.  Not where
 * another thread, or a signal handler, could meet the lower limit. */
ssize_t shared_send(int fd, const struct msghdr *msg, int flags)
{
    static struct { /* which is asked again when the process has become somebody else */
        unsigned checked;
        bool privileged;
    } user = { .checked = UINT_MAX };
    struct rlimit before, lower;
    sigset_t mask;

    if (!self_alone())
        return real.sendmsg(fd, msg, flags);
    if (user.checked != identity_changes) {
        user.privileged = tree_is_privileged();
        user.checked = identity_changes;
    }
    if (user.privileged || getrlimit(RLIMIT_NOFILE, &before) != 0 || before.rlim_cur <= TREE_USER_MOST)
        return real.sendmsg(fd, msg, flags);
    lower = before;
    lower.rlim_cur = TREE_USER_MOST;
    signals_hold(&mask);
    bool lowered = setrlimit(RLIMIT_NOFILE, &lower) == 0;
    ssize_t sent = real.sendmsg(fd, msg, flags);
    int error = errno;
    if (lowered)
        limit_restore(&before, &lower);
    signals_release(&mask);
    errno = error;
    return sent;
}
