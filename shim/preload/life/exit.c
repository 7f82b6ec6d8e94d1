/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/exit.h"

#include "base/quiet.h"
#include "base/stats.h"
#include "pool/pool.h"
#include "preload/conn/conn.h"
#include "preload/conn/deferred.h"
#include "preload/fds/private.h"
#include "preload/fds/spare.h"
#include "preload/libc/real.h"
#include "preload/life/fork.h"
#include "preload/self/self.h"
#include "preload/conn/path.h"
#include "preload/share/shared.h"
#include "preload/wire/observed.h"
#include "preload/conn/swap.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static struct {
    int fd;
    char path[PATH_MAX]; /* what the environment says may be written over: Perl's $0, sshd, nginx, PostgreSQL do */
    atomic_bool written;
} report = { .fd = -1 };

int exit_open_file(const char *path)
{
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666) : -1;

    if (fd < 0)
        return -1;
    int moved = private_move(fd);
    if (moved < 0)
        real.close(fd);
    return moved;
}

ssize_t exit_write_quietly(int fd, const void *bytes, size_t len)
{
    struct quiet quiet;

    quiet_begin(&quiet);
    ssize_t n = real.write(fd, bytes, len);
    quiet_end(&quiet, n < 0);
    return n;
}

void exit_begin(void)
{
    const char *path = self.config.stats_path;
    size_t len = path ? strlen(path) : sizeof report.path;

    if (len >= sizeof report.path)
        return;
    memcpy(report.path, path, len + 1);
    report.fd = exit_open_file(report.path);
}

/* Between exchanges the calls become libc's own again; one that is under way goes on, without a swap. */
static void retire(struct conn *c)
{
    if (conn_is_exchange(c)) {
        path_unguard(c);
        c->copied = true;
        conn_forbid_parking(c, REASON_odd_descriptor);
        return;
    }
    struct conn *entered = c->fds.count ? conn_enter(c->fds.numbers[0].fd, NEED_ALL) : NULL;
    if (entered) {
        conn_bypass(entered, REASON_none);
        conn_leave(entered);
    }
}

void exit_retire(void)
{
    self.retired = true;
    deferred_apply_all();
    self.active = self.tracks = false;
    spare_abandon();
    pool_shed(private_limit());
    conn_each(retire);
}

/* An observed client that has not closed: the connection is lent to others from here on, so what the
 * program may still do with it must not reach it. */
static void park_observed(struct conn *c)
{
    int fd = c->fds.count ? c->fds.numbers[0].fd : -1;
    struct conn *entered = conn_is_observed(c) && c->fds.count == 1 ? conn_enter(fd, NEED_ALL) : NULL;

    if (!entered)
        return;
    if (entered == c && conn_is_observed(c) && !c->use.inside) {
        enum reason why = observed_verdict(c);
        if (why == REASON_none)
            swap_end(c);
        else
            conn_note(c, why); /* it will never be closed */
    }
    conn_leave(entered);
}

static void end_sharing(void)
{
    if (!shared_ends())
        return;
    conn_each(park_observed);
    shared_give_rest();
}

void exit_process(void)
{
    static char line[4096]; /* once */
    size_t len;

    fork_settle();
    end_sharing();
    if (report.fd < 0 || !self_is_ours() || atomic_exchange(&report.written, true))
        return;
    if (!private_is(report.fd)) /* the program has taken the number */
        report.fd = exit_open_file(report.path);
    len = stats_format(line, sizeof line, getpid(), self.name);
    if (report.fd >= 0 && len && exit_write_quietly(report.fd, line, len) < 0)
        return;
}

/* What is still open goes on; nothing new is tracked. */
__attribute__((destructor, used)) static void stop(void)
{
    exit_process();
    self.active = self.tracks = false;
}
