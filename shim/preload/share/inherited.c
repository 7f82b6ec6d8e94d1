/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/share/inherited.h"

#include "base/syscalls.h"
#include "pool/board.h"
#include "pool/broker.h"
#include "pool/broker_place.h"
#include "preload/share/handdown.h"
#include "preload/fds/limit.h"
#include "preload/fds/private.h"
#include "preload/libc/real.h"
#include "preload/self/env.h"
#include "preload/self/self.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

static bool is_free(int fd)
{
    return real.fcntl(fd, F_GETFD) < 0;
}

/* Yama lets a process look only at its children, and logs who tries otherwise.  Valgrind (Debian 12's) refuses pidfd_open,
 * and writes so to the program's stderr. */
static bool may_look_at_parent(void)
{
    char mode = '0';

    if (env_of_valgrind())
        return false;
    int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return true;
    if (real.read(fd, &mode, 1) != 1)
        mode = '0';
    real.close(fd);
    return mode == '0';
}

/* Is what lies under number i of the tree part of it? */
static bool is_of_tree(const struct tree *tree, int i)
{
    return i < TREE_QUEUES ? tree_has(tree, (unsigned)i) : i == TREE_BOARD ? tree_board(tree) : tree_has_line(tree);
}

/* What closed the queues (a posix_spawn that closes all, a static program) may have been started by a
 * process that still has them. */
static bool recover(const struct tree *tree)
{
    bool any = false;

    if (!may_look_at_parent())
        return false;
    int parent = (int)real.syscall(SYS_pidfd_open, getppid(), 0);
    if (parent < 0)
        return false;
    for (int i = 0; i < TREE_FDS; i++) {
        int number = tree->first + i;
        int fd = is_free(number) ? (int)real.syscall(SYS_pidfd_getfd, parent, number, 0) : -1;
        if (fd < 0)
            continue;
        real.dup3(fd, number, O_CLOEXEC);
        real.close(fd);
        if (is_of_tree(tree, i))
            any = true;
        else
            real.close(number);
    }
    real.close(parent);
    return any;
}

/* The queues' numbers may lie above the soft limit.  At start nobody else is there to meet a higher one. */
static void raise_limit(const struct tree *tree, struct rlimit *before, struct rlimit *higher)
{
    rlim_t end = (rlim_t)tree->first + TREE_FDS;

    *before = (struct rlimit){ 0 };
    getrlimit(RLIMIT_NOFILE, before);
    *higher = *before;
    if (higher->rlim_cur < end) {
        higher->rlim_cur = end;
        setrlimit(RLIMIT_NOFILE, higher);
    }
}

/* Another user's tree is left; this user's processes from here on have one of their own.  The text in
 * the environment has always the same length. */
static bool found_own(struct tree *tree, char *text)
{
    int first = tree->first;

    for (int i = 0; i < TREE_QUEUES; i++)
        if (!is_free(first + i) && !tree_has(tree, (unsigned)i))
            return false;
    unsigned most = tree_is_privileged() ? TREE_MOST_PRIVILEGED : TREE_MOST;
    if (tree_create(tree, tree->calls, first, most, (uint32_t)getauxval(AT_EUID)) != 0)
        return false;
    tree_add_board(tree, BOARD_TREE, self_now_ms());
    tree_text(tree, text);
    return true;
}

static unsigned hide(const struct tree *tree)
{
    unsigned hidden = 0;

    for (int i = 0; i < TREE_FDS; i++)
        if (is_of_tree(tree, i)) {
            private_adopt(tree->first + i);
            hidden += i < TREE_QUEUES;
        }
    if (hidden)
        handdown_shut(tree);
    return hidden;
}

bool inherited_find(struct tree *tree, const struct tree_calls *calls)
{
    char *text = env_get(TREE_VARIABLE);

    if (!text || tree_parse(tree, calls, text) != 0 || tree->first <= STDERR_FILENO)
        return false;
    bool foreign = tree->uid != (uint32_t)getauxval(AT_EUID);
    unsigned hidden = foreign ? 0 : hide(tree); /* most often all are there: each is looked at once */
    if (hidden < TREE_QUEUES) {
        struct rlimit before, higher;
        raise_limit(tree, &before, &higher);
        bool more = foreign ? found_own(tree, text) : recover(tree);
        limit_restore(&before, &higher);
        if (more)
            hidden = hide(tree);
    }
    return hidden > 0;
}

static char runtime[sizeof((struct sockaddr_un *)0)->sun_path];

void inherited_note_place(void)
{
    const char *value = env_get("XDG_RUNTIME_DIR");

    if (value && strlen(value) < sizeof runtime)
        memcpy(runtime, value, strlen(value) + 1);
}

/* Below the limit: another thread must not meet a higher one. */
bool inherited_join(struct tree *tree, const struct tree_calls *calls)
{
    struct broker_place place;
    struct rlimit limit = { 0 }, same;
    struct broker_door door = { &place, broker_place_namespace(), BROKER_WAIT_MS };

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || broker_place_find(&place, runtime, door.netns, false) != 0 ||
        broker_place_is_left_alone(&place))
        return false;
    limit.rlim_max = limit.rlim_cur;
    int first = tree_numbers(&limit, &same, is_free);
    int result = first < 0 ? -EMFILE : broker_join(tree, calls, &door, first, O_CLOEXEC);
    if (result == -ETIMEDOUT)
        broker_place_leave_alone(&place);
    return result == 0 && hide(tree) > 0;
}
