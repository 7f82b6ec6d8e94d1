#define _GNU_SOURCE
#include "launcher/tree.h"

#include "launcher/fail.h"
#include "pool/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    HIGHEST = 1024, /* tables of fds stay small */
    ENOUGH = 256,   /* of so many numbers a program can spare some */
};

/* Under _GNU_SOURCE these take a union instead of a pointer. */
static int bind_plain(int fd, const struct sockaddr *name, socklen_t len)
{
    return bind(fd, name, len);
}

static int connect_plain(int fd, const struct sockaddr *name, socklen_t len)
{
    return connect(fd, name, len);
}

static int getsockname_plain(int fd, struct sockaddr *name, socklen_t *len)
{
    return getsockname(fd, name, len);
}

static const struct tree_calls calls = {
    .socket = socket,
    .bind = bind_plain,
    .connect = connect_plain,
    .getsockname = getsockname_plain,
    .getsockopt = getsockopt,
    .setsockopt = setsockopt,
    .sendmsg = sendmsg,
    .recvmsg = recvmsg,
    .recv = recv,
    .dup3 = dup3,
    .shutdown = shutdown,
    .close = close,
};

static bool are_free(int first)
{
    for (int i = 0; i < TREE_QUEUES; i++)
        if (fcntl(first + i, F_GETFD) >= 0)
            return false;
    return true;
}

/* Numbers that the program does not miss: from its soft limit on, which the kernel gives out while the limit
 * is higher for a moment and which stay valid (getrlimit(2)); else the highest of many.  -1: none. */
static int find_numbers(const struct rlimit *limit, struct rlimit *higher)
{
    int end = limit->rlim_cur > HIGHEST ? HIGHEST : (int)limit->rlim_cur;

    *higher = *limit;
    if (limit->rlim_cur <= HIGHEST && limit->rlim_max - TREE_QUEUES >= limit->rlim_cur) {
        higher->rlim_cur += TREE_QUEUES;
        if (are_free((int)limit->rlim_cur))
            return (int)limit->rlim_cur;
    }
    *higher = *limit;
    for (int first = end - TREE_QUEUES; end >= ENOUGH && first >= end / 2; first--)
        if (are_free(first))
            return first;
    return -1;
}

static int create(struct tree *tree)
{
    struct rlimit limit, higher;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -errno;
    int first = find_numbers(&limit, &higher);
    if (first < 0 || setrlimit(RLIMIT_NOFILE, &higher) != 0)
        return -EMFILE;
    int result = tree_create(tree, &calls, first, tree_is_privileged() ? TREE_MOST_PRIVILEGED : TREE_MOST,
                             geteuid());
    setrlimit(RLIMIT_NOFILE, &limit);
    return result;
}

/* A launcher under a launcher: the queues are there already, but where the library is loaded into this
 * very process it hides them.  Whether they live is seen from outside then. */
static bool is_there(const char *text)
{
    struct tree tree;

    return text && tree_parse(&tree, &calls, text) == 0 && tree.uid == geteuid() &&
           (tree_has(&tree, 0) || tree_lives(&tree));
}

void tree_prepare(void)
{
    struct tree tree;
    char text[TREE_TEXT];

    if (is_there(getenv(TREE_VARIABLE)))
        return;
    if (create(&tree) != 0) {
        unsetenv(TREE_VARIABLE);
        return;
    }
    tree_text(&tree, text);
    fail_or_set(TREE_VARIABLE, text);
}
