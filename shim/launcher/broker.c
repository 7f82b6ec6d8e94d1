/* SPDX-License-Identifier: ISC */
/* A broker that a launcher starts is nobody's child: it is adopted by init, is in a session of its own, and
 * holds nothing of the command's, not even for a moment: whoever waits for the end of a pipe must not wait for
 * it.  The command does not wait for it either.  What both need is made here before, and used at once. */
#define _GNU_SOURCE
#include "launcher/broker.h"

#include "base/kernel.h"
#include "base/syscalls.h"
#include "launcher/fail.h"
#include "launcher/preload.h"
#include "launcher/tree.h"
#include "pool/board.h"
#include "pool/broker.h"
#include "pool/broker_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ATTEMPTS = 4,    /* while another launcher starts it */
    ATTEMPT_US = 1000,
    KIT_FIRST = 3,   /* where the broker finds what it is handed: holdfastd --taken-over */
    KIT_FDS = TREE_FDS + 2,
    SAFE_FIRST = 64, /* out of the way meanwhile */
};

static const char program[] = "holdfastd", taken_over[] = "--taken-over", idle_exit[] = "--idle-exit=60";

/* All that the broker is started with. */
struct kit {
    int fds[KIT_FDS]; /* the tree's, the line's other end among them; the listening socket; the lock */
    struct tree tree;     /* as it will have it */
    uint64_t netns;
    char *program, *log;
    char *environment[8];
};

/* The command would find the broker among its children. */
static bool adopts_orphans(void)
{
    int subreaper = 0;

    return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper);
}

static void add_variable(struct kit *kit, const char *name, const char *value)
{
    size_t n = 0;

    while (kit->environment[n])
        n++;
    if (value && *value)
        kit->environment[n] = fail_or_format("%s=%s", name, value);
}

static void write_environment(struct kit *kit)
{
    char text[TREE_TEXT];

    tree_text(&kit->tree, text);
    add_variable(kit, TREE_VARIABLE, text);
    add_variable(kit, "HOLDFAST_MAX_PER_ENDPOINT", getenv("HOLDFAST_MAX_PER_ENDPOINT"));
    add_variable(kit, "XDG_RUNTIME_DIR", getenv("XDG_RUNTIME_DIR"));
}

static void close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0u, 0) == 0)
        return;
    for (long fd = first, end = sysconf(_SC_OPEN_MAX); fd < end; fd++) /* before Linux 5.9 */
        close((int)fd);
}

/* In the grandchild: first out of the way of each other, which a low soft limit may not have room for. */
static bool arrange(struct kit *kit)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (int i = 0; i < KIT_FDS; i++)
        if ((kit->fds[i] = fcntl(kit->fds[i], F_DUPFD, SAFE_FIRST)) < 0)
            return false;
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        return false;
    for (int fd = 0; fd < KIT_FIRST; fd++)
        if (fd != null && dup2(null, fd) != fd)
            return false;
    for (int i = 0; i < KIT_FDS; i++)
        if (dup2(kit->fds[i], KIT_FIRST + i) < 0)
            return false;
    close_from(KIT_FIRST + KIT_FDS);
    return true;
}

static void forget_signals(void)
{
    sigset_t none;

    for (int n = 1; n < NSIG; n++)
        signal(n, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* From here on others can have what it has, whatever becomes of it. */
static void publish(const struct kit *kit)
{
    struct broker_whereabouts who = { .pid = getpid(), .netns = kit->netns };

    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    tree_text(&kit->tree, who.tree);
    broker_place_publish(KIT_FIRST + TREE_FDS + 1, &who);
}

static _Noreturn void become_broker(struct kit *kit)
{
    char *words[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)taken_over, (char *)(uintptr_t)idle_exit,
                      kit->log, NULL };

    forget_signals();
    signal(SIGXFSZ, SIG_IGN); /* for broker_place_publish */
    if (chdir("/") == 0 && arrange(kit)) {
        publish(kit);
        execve(kit->program, words, kit->environment);
    }
    _exit(1);
}

/* A fork whose end sends no signal: one that the command has blocked would still be there for it. */
static pid_t fork_silently(void)
{
    return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

static bool run(struct kit *kit)
{
    pid_t child = fork_silently();
    int status;

    if (child == 0) {
        setsid();
        pid_t grandchild = fork_silently();
        if (grandchild == 0)
            become_broker(kit);
        _exit(grandchild < 0);
    }
    while (child > 0 && waitpid(child, &status, __WALL) < 0)
        if (errno != EINTR)
            return false;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Its ends: the tree's, and the broker's, which is the caller's. */
static bool make_line(const struct tree *tree, int *far)
{
    int ends[2], on = 1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    *far = ends[1];
    bool made = tree_mark_line(tree, ends[0]) == 0 &&
                setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0 &&
                dup3(ends[0], tree->first + TREE_LINE, 0) >= 0;
    close(ends[0]);
    return made;
}

static bool make_tree(struct tree *tree, int first, int *far)
{
    unsigned most = tree_is_privileged() ? TREE_MOST_PRIVILEGED : TREE_MOST;

    if (tree_create(tree, &tree_calls_plain, first, most, kernel_euid()) != 0)
        return false;
    if (tree_add_board(tree, BOARD_BROKER, tree_now_ms()) == 0 && make_line(tree, far))
        return true;
    tree_destroy(tree);
    return false;
}

static bool start(struct tree *tree, int first, int listener, int lock)
{
    struct kit kit = { .netns = broker_place_namespace(), .program = preload_find(program) };
    const char *log = getenv("HOLDFAST_LOG");
    int far;

    if (access(kit.program, X_OK) != 0 || !make_tree(tree, first, &far))
        return false;
    for (int i = 0; i < TREE_FDS; i++)
        kit.fds[i] = i == TREE_LINE ? far : tree->first + i;
    kit.fds[TREE_FDS] = listener;
    kit.fds[TREE_FDS + 1] = lock;
    kit.log = log && *log ? fail_or_format("--log=%s", log) : NULL;
    kit.tree = *tree;
    kit.tree.first = KIT_FIRST;
    write_environment(&kit);
    bool runs = run(&kit);
    close(far);
    if (!runs)
        tree_destroy(tree);
    return runs;
}

static bool find_place(struct broker_place *place, struct broker_door *door, bool make)
{
    door->netns = broker_place_namespace();
    door->place = place;
    return broker_place_find(place, getenv("XDG_RUNTIME_DIR"), door->netns, make) == 0;
}

static bool claim_and_start(struct tree *tree, int first, const struct broker_place *place, bool *busy)
{
    int listener, lock;
    int result = broker_place_claim(place, &listener, &lock);

    *busy = result == -EWOULDBLOCK;
    if (result != 0)
        return false;
    bool started = start(tree, first, listener, lock);
    if (!started)
        unlink(place->socket);
    close(listener);
    close(lock);
    return started;
}

static bool get(struct tree *tree, int first)
{
    struct broker_place place;
    struct broker_door door = { .wait_ms = BROKER_WAIT_MS };
    bool busy = true;

    if (!find_place(&place, &door, true) || broker_place_is_left_alone(&place))
        return false;
    for (int i = 0; busy && i < ATTEMPTS; i++) {
        int result = broker_join(tree, &tree_calls_plain, &door, first, 0);
        if (result == 0)
            return true;
        if (result == -ETIMEDOUT)
            broker_place_leave_alone(&place);
        if ((result != -ENOENT && result != -ECONNREFUSED) || adopts_orphans())
            return false;
        if (claim_and_start(tree, first, &place, &busy))
            return true;
        if (busy)
            usleep(ATTEMPT_US);
    }
    return false;
}

/* Whatever the user's umask is: what it took from them, he could not use himself. */
bool broker_get(struct tree *tree, int first)
{
    mode_t mask = umask(077);
    bool got = get(tree, first);

    umask(mask);
    return got;
}

bool broker_get_running(struct tree *tree, int first, int wait_ms)
{
    struct broker_place place;
    struct broker_door door = { .wait_ms = wait_ms };

    return find_place(&place, &door, false) &&
           broker_join(tree, &tree_calls_plain, &door, first, O_CLOEXEC) == 0;
}
