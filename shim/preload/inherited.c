#define _GNU_SOURCE
#include "preload/inherited.h"

#include "preload/private.h"
#include "preload/real.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_free(int fd)
{
    return real.fcntl(fd, F_GETFD) < 0;
}

/* Yama lets a process look only at its children, and logs who tries otherwise. */
static bool may_look_at_parent(void)
{
    char mode = '0';
    int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return true;
    if (real.read(fd, &mode, 1) != 1)
        mode = '0';
    real.close(fd);
    return mode == '0';
}

/* What closed the queues (a posix_spawn that closes all, a static program) may have been started by a
 * process that still has them. */
static void recover(const struct tree *tree)
{
    if (!may_look_at_parent())
        return;
    int parent = (int)syscall(SYS_pidfd_open, getppid(), 0);
    if (parent < 0)
        return;
    for (int i = 0; i < TREE_QUEUES; i++) {
        int number = tree->first + i;
        int fd = is_free(number) ? (int)syscall(SYS_pidfd_getfd, parent, number, 0) : -1;
        if (fd < 0)
            continue;
        real.dup3(fd, number, 0);
        real.close(fd);
        if (!tree_has(tree, (unsigned)i))
            real.close(number);
    }
    real.close(parent);
}

/* The queues' numbers may lie above the soft limit.  At start nobody else is there to meet a higher one. */
static struct rlimit raise_limit(const struct tree *tree)
{
    struct rlimit before = { 0 }, higher;
    rlim_t end = (rlim_t)tree->first + TREE_QUEUES;

    getrlimit(RLIMIT_NOFILE, &before);
    higher = before;
    if (higher.rlim_cur < end) {
        higher.rlim_cur = end;
        setrlimit(RLIMIT_NOFILE, &higher);
    }
    return before;
}

static unsigned find_queues(const struct tree *tree)
{
    unsigned found = 0;

    for (unsigned i = 0; i < TREE_QUEUES; i++)
        found += tree_has(tree, i);
    return found;
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
    tree_text(tree, text);
    return true;
}

bool inherited_find(struct tree *tree, const struct tree_calls *calls)
{
    char *text = getenv(TREE_VARIABLE);
    unsigned hidden = 0;

    if (!text || tree_parse(tree, calls, text) != 0 || tree->first <= STDERR_FILENO)
        return false;
    bool foreign = tree->uid != (uint32_t)getauxval(AT_EUID);
    if (foreign || find_queues(tree) < TREE_QUEUES) {
        struct rlimit before = raise_limit(tree);
        bool made = foreign && found_own(tree, text);
        if (!foreign)
            recover(tree);
        setrlimit(RLIMIT_NOFILE, &before);
        if (foreign && !made)
            return false;
    }
    for (unsigned i = 0; i < TREE_QUEUES; i++)
        if (tree_has(tree, i)) {
            private_adopt(tree->first + (int)i);
            hidden++;
        }
    return hidden > 0;
}
