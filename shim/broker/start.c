/* SPDX-License-Identifier: ISC */
/* Everything in place: the directory and its lock, the listening socket, the queues, the board.  A launcher
 * that found no broker has made them all; a service manager may have made the socket (sd_listen_fds(3)). */
#define _GNU_SOURCE
#include "broker/broker.h"

#include "base/kernel.h"
#include "base/log.h"
#include "base/syscalls.h"
#include "pool/broker.h"
#include "pool/broker_place.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST = 32,          /* where the tree is made */
    LISTEN_FDS_START = 3,
    RESERVE = 64,        /* descriptors for all else */
    LIMIT_MOST = 1 << 20,
    SLICE_NS = 100000,
};

static bool budgeted;

/* As the library does (unix(7): ETOOMANYREFS). */
static ssize_t send_within_budget(int fd, const struct msghdr *msg, int flags)
{
    struct rlimit before, lower;

    if (!budgeted || getrlimit(RLIMIT_NOFILE, &before) != 0)
        return sendmsg(fd, msg, flags);
    lower = before;
    lower.rlim_cur = TREE_USER_MOST;
    setrlimit(RLIMIT_NOFILE, &lower);
    ssize_t sent = sendmsg(fd, msg, flags);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &before);
    errno = error;
    return sent;
}

static bool complain(const char *what, int error)
{
    log_printf("%s: %s", what, strerror(error));
    return false;
}

static unsigned raise_limit(void)
{
    struct rlimit limit = { 1024, 1024 };

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max > LIMIT_MOST ? LIMIT_MOST : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return (unsigned)limit.rlim_cur;
}

/* Who asks waits for 5 ms.  Its turns are short: with a short slice it has them soon, on a busy machine, too
 * (sched(7), Linux 6.12; before, this changes nothing). */
static void ask_for_short_turns(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = { .size = sizeof attributes, .policy = SCHED_OTHER, .runtime = SLICE_NS };

    errno = 0;
    attributes.nice = getpriority(PRIO_PROCESS, 0);
    if (errno == 0)
        syscall(SYS_sched_setattr, 0, &attributes, 0);
}

/* What a launcher hands over lies behind the tree's own numbers. */
static bool take_over(struct broker *b)
{
    const char *text = getenv(TREE_VARIABLE);

    if (!text || tree_parse(&b->tree, &b->calls, text) != 0 || tree_board(&b->tree) != BOARD_BROKER)
        return complain("what a launcher should have handed over", ENOENT);
    for (unsigned i = 0; i < TREE_QUEUES; i++)
        if (!tree_has(&b->tree, i))
            return complain("a queue that a launcher should have handed over", EBADF);
    b->listener = b->tree.first + TREE_FDS;
    b->lock = b->listener + 1;
    for (int fd = b->tree.first; fd <= b->lock; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return true;
}

static bool make_tree(struct broker *b)
{
    unsigned most = tree_is_privileged() ? TREE_MOST_PRIVILEGED : TREE_MOST;
    int result = tree_create(&b->tree, &b->calls, FIRST, most, kernel_euid());

    if (result == 0)
        result = tree_add_board(&b->tree, BOARD_BROKER, broker_now_ms());
    return result == 0 || complain("the queues", -result);
}

/* -1: no service manager has a socket for us. */
static int activated(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int type = 0, on = 1;
    socklen_t len = sizeof type;

    if (!pid || !fds || strtol(pid, NULL, 10) != getpid() || strtol(fds, NULL, 10) != 1)
        return -1;
    if (getsockopt(LISTEN_FDS_START, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
        return -1;
    fcntl(LISTEN_FDS_START, F_SETFD, FD_CLOEXEC);
    fcntl(LISTEN_FDS_START, F_SETFL, O_NONBLOCK);
    setsockopt(LISTEN_FDS_START, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    return LISTEN_FDS_START;
}

static bool claim(struct broker *b)
{
    struct broker_place place;
    int result = broker_place_find(&place, getenv("XDG_RUNTIME_DIR"), b->netns, true);

    if (result != 0)
        return complain("no directory for the socket (README: HOLDFAST_SHARE=user)", -result);
    b->listener = activated();
    result = b->listener >= 0 ? broker_place_lock(&place, &b->lock)
                              : broker_place_claim(&place, &b->listener, &b->lock);
    if (result == -EWOULDBLOCK)
        log_printf("another one is running: %s is locked", place.lock);
    else if (result != 0)
        complain(place.socket, -result);
    return result == 0;
}

static bool watch_all(struct broker *b)
{
    sigset_t handled;

    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGHUP);
    sigprocmask(SIG_BLOCK, &handled, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    b->signals = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    return b->signals >= 0 && broker_watch(b, b->signals, EPOLLIN, EVENT_SIGNAL << 2 | EVENT_OTHER) &&
           broker_watch(b, b->listener, EPOLLIN, EVENT_LISTENER << 2 | EVENT_OTHER);
}

static void remember_name(struct broker *b)
{
    socklen_t len = sizeof b->name;
    struct stat status;

    getsockname(b->listener, (struct sockaddr *)&b->name, &len);
    b->name_inode = stat(b->name.sun_path, &status) == 0 ? status.st_ino : 0;
}

void start_undo(struct broker *b)
{
    struct stat status;

    if (b->name_inode && stat(b->name.sun_path, &status) == 0 && status.st_ino == b->name_inode)
        unlink(b->name.sun_path);
    close(b->listener);
}

/* Others may copy what they need out of us: who could, could ask for it as well. */
static void publish(struct broker *b)
{
    struct broker_whereabouts who = { .pid = getpid(), .netns = b->netns };

    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    tree_text(&b->tree, who.tree);
    broker_place_publish(b->lock, &who);
}

bool start(struct broker *b)
{
    unsigned limit = raise_limit();

    ask_for_short_turns();
    b->calls = tree_calls_plain;
    b->calls.sendmsg = send_within_budget;
    budgeted = !tree_is_privileged();
    b->netns = broker_place_namespace();
    b->started_ms = broker_now_ms();
    b->lines_most = limit / 8;
    if (limit < 4 * RESERVE)
        return complain("RLIMIT_NOFILE", EMFILE);
    if (b->options.taken_over ? !take_over(b) : !claim(b) || !make_tree(b))
        return false;
    if (b->listener != LISTEN_FDS_START)
        remember_name(b);
    b->tree.board = board_map(b->tree.first + TREE_BOARD);
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!b->tree.board || b->epoll < 0 || !watch_all(b))
        return complain("no memory", errno);
    hoard_init(&b->hoard, &b->calls, b->tree.board, b->epoll, limit - b->lines_most - RESERVE,
               b->options.max_per_endpoint);
    sweep_begin(b);
    publish(b);
    if (b->options.taken_over)
        lines_add(b, b->tree.first + TREE_LINE); /* the launcher's command */
    return true;
}
