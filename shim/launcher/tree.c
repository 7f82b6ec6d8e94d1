#define _GNU_SOURCE
#include "launcher/tree.h"

#include "base/kernel.h"
#include "base/program.h"
#include "base/syscalls.h"
#include "launcher/broker.h"
#include "launcher/fail.h"
#include "pool/board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int handed_first = -1; /* what was handed down may be hidden: its numbers only look free */

static bool is_free(int fd)
{
    bool handed = handed_first >= 0 && fd >= handed_first && fd < handed_first + TREE_FDS;

    return !handed && fcntl(fd, F_GETFD) < 0;
}

bool tree_with_numbers(bool (*act)(void *arg, int first), void *arg)
{
    struct rlimit limit, higher;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    int first = tree_numbers(&limit, &higher, is_free);
    if (first < 0 || setrlimit(RLIMIT_NOFILE, &higher) != 0)
        return false;
    bool result = act(arg, first);
    setrlimit(RLIMIT_NOFILE, &limit);
    return result;
}

uint64_t tree_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Without a board nothing is counted, which nobody but --status misses. */
static bool make(void *arg, int first)
{
    struct tree *tree = arg;
    unsigned most = tree_is_privileged() ? TREE_MOST_PRIVILEGED : TREE_MOST;

    if (tree_create(tree, &tree_calls_plain, first, most, kernel_euid()) != 0)
        return false;
    tree_add_board(tree, BOARD_TREE, tree_now_ms());
    return true;
}

static bool make_of_user(void *arg, int first)
{
    return broker_get(arg, first);
}

static bool parse(struct tree *tree)
{
    const char *text = getenv(TREE_VARIABLE);

    if (!text || tree_parse(tree, &tree_calls_plain, text) != 0)
        return false;
    handed_first = tree->first;
    return tree->uid == kernel_euid();
}

/* Where the library is loaded into this very process it hides what was handed down; what the kernel copies
 * for us (pidfd_getfd(2), always of oneself) it does not know. */
struct reached {
    struct tree *tree;
    int from;
};

static bool copy_all(void *arg, int first)
{
    struct reached *reached = arg;
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0), found = 0;

    for (int i = 0; self >= 0 && i < TREE_FDS; i++) {
        int fd = (int)syscall(SYS_pidfd_getfd, self, reached->from + i, 0);
        if (fd < 0)
            continue;
        found += dup3(fd, first + i, O_CLOEXEC) >= 0;
        close(fd);
    }
    if (self >= 0)
        close(self);
    reached->tree->first = first;
    return found > 0 && tree_has(reached->tree, 0);
}

bool tree_reach(struct tree *tree)
{
    if (!parse(tree))
        return false;
    struct reached reached = { tree, tree->first };
    return tree_with_numbers(copy_all, &reached);
}

/* A launcher under a launcher: the queues are there already.  Those of the wrong kind are given up. */
static bool is_there(enum config_share share)
{
    struct tree tree, copy;

    if (!parse(&tree) || !(tree_has(&tree, 0) || tree_lives(&tree)))
        return false;
    unsigned wrong = share == CONFIG_SHARE_USER ? BOARD_TREE : BOARD_BROKER;
    unsigned kind = tree_reach(&copy) ? tree_board(&copy) : 0;
    if (kind)
        tree_destroy(&copy);
    if (kind != wrong)
        return true;
    tree_destroy(&tree);
    return false;
}

/* What the library hides where it is loaded into this process, it judges by itself (preload/share/handdown.h). */
static void keep_back(const struct tree *tree)
{
    for (int i = 0; i < TREE_FDS; i++)
        fcntl(tree->first + i, F_SETFD, FD_CLOEXEC);
}

static void make_ready(enum config_share share)
{
    struct tree tree;
    char text[TREE_TEXT];

    if (is_there(share))
        return;
    if ((share != CONFIG_SHARE_USER || !tree_with_numbers(make_of_user, &tree)) &&
        !tree_with_numbers(make, &tree)) {
        unsetenv(TREE_VARIABLE);
        return;
    }
    tree_text(&tree, text);
    fail_or_set(TREE_VARIABLE, text);
}

void tree_prepare(enum config_share share, const char *path)
{
    struct tree tree;

    make_ready(share);
    if (parse(&tree) && !program_loads(path, PROGRAM_ANY_LIBC, kernel_euid(), kernel_egid()))
        keep_back(&tree);
}
