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

enum { HIGHEST = 1024 }; /* select(2) knows no higher numbers, and tables of fds stay small */

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

/* High numbers, which programs do not meet by counting upwards.  -1: none. */
static int find_numbers(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    int end = limit.rlim_cur > HIGHEST ? HIGHEST : (int)limit.rlim_cur;
    for (int first = end - TREE_QUEUES; first >= end / 2 && first > STDERR_FILENO; first--)
        if (are_free(first))
            return first;
    return -1;
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
    int first = find_numbers();
    unsigned most = tree_is_privileged() ? TREE_MOST_PRIVILEGED : TREE_MOST;
    if (first < 0 || tree_create(&tree, &calls, first, most, geteuid()) != 0) {
        unsetenv(TREE_VARIABLE);
        return;
    }
    tree_text(&tree, text);
    fail_or_set(TREE_VARIABLE, text);
}
