/* SPDX-License-Identifier: ISC */
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

/* What process `pid` has under `from` and up. */
struct copying {
    struct tree *tree;
    pid_t pid;
    int from;
};

static bool is_of_tree(const struct tree *tree, int i)
{
    return i < TREE_QUEUES ? tree_has(tree, (unsigned)i) : i == TREE_BOARD ? tree_board(tree) : tree_has_line(tree);
}

/* What lies there besides is left alone. */
static void copy_one(const struct tree *tree, int process, int from, int i)
{
    int fd = (int)syscall(SYS_pidfd_getfd, process, from + i, 0);

    if (fd < 0)
        return;
    bool copied = dup3(fd, tree->first + i, O_CLOEXEC) >= 0;
    close(fd);
    if (copied && !is_of_tree(tree, i))
        close(tree->first + i);
}

static bool copy_all(void *arg, int first)
{
    struct copying *copying = arg;
    int process = (int)syscall(SYS_pidfd_open, copying->pid, 0);

    if (process < 0)
        return false;
    copying->tree->first = first;
    for (int i = 0; i < TREE_FDS; i++)
        copy_one(copying->tree, process, copying->from, i);
    close(process);
    if (tree_has(copying->tree, 0))
        return true;
    tree_destroy(copying->tree);
    return false;
}

bool tree_copy(struct tree *tree, pid_t pid, int from)
{
    struct copying copying = { tree, pid, from };

    return tree_with_numbers(copy_all, &copying);
}

/* Where the library is loaded into this very process it hides what was handed down; what the kernel copies for us
 * (pidfd_getfd(2), always of oneself) it does not know. */
bool tree_reach(struct tree *tree)
{
    return parse(tree) && tree_copy(tree, getpid(), tree->first);
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

static bool make_ready(enum config_share share)
{
    struct tree tree;
    char text[TREE_TEXT];

    if (is_there(share))
        return true;
    if ((share != CONFIG_SHARE_USER || !tree_with_numbers(make_of_user, &tree)) &&
        !tree_with_numbers(make, &tree)) {
        unsetenv(TREE_VARIABLE);
        return false;
    }
    tree_text(&tree, text);
    fail_or_set(TREE_VARIABLE, text);
    return true;
}

bool tree_prepare(enum config_share share, const char *path)
{
    struct tree tree;
    bool ready = make_ready(share);

    if (parse(&tree) && !program_loads(path, PROGRAM_ANY_LIBC, kernel_euid(), kernel_egid()))
        keep_back(&tree);
    return ready;
}
