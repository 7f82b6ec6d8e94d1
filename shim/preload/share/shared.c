/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/share/shared.h"

#include "base/lock.h"
#include "base/stats.h"
#include "pool/board.h"
#include "pool/broker.h"
#include "pool/tree.h"
#include "preload/share/handdown.h"
#include "preload/self/identity.h"
#include "preload/share/idle.h"
#include "preload/share/inherited.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/libc/cancel.h"
#include "preload/libc/real.h"
#include "preload/self/env.h"
#include "preload/share/tally.h"
#include "preload/share/tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    HOT_MS = 1000, /* connects that follow each other faster ... */
    HOT_RUN = 3,   /* ... so many times make the process hot */
    LEFT_AT_ONCE = 4,
    TRY_EVERY_MS = 5000,
};

atomic_bool shared_keeping;

struct lock shared_joining = LOCK_FREE(shared_joining);

static struct {
    struct tree tree;
    struct tree_calls calls; /* by which the tree does what it does */
    atomic_bool on;          /* there is a tree */
    bool handed;             /* it came by the environment: children get it, too */
    bool may_join;           /* none did, and a broker is to be looked for */
    uint64_t next_try_ms;    /* when; under shared_joining */
    bool has_line;           /* a broker has the tree as well */
    atomic_bool ending;      /* the process exits */
    _Atomic uint64_t last_connect_ms;
    atomic_uint run;         /* of connects that followed each other fast, HOT_RUN at most */
} our;

static int close_any(int fd)
{
    if (!private_is(fd))
        return real.close(fd);
    private_close(fd);
    return 0;
}

static void take_calls(void)
{
    our.calls = (struct tree_calls){
        .socket = real.socket,
        .bind = real.bind,
        .connect = real.connect,
        .getsockname = real.getsockname,
        .getsockopt = real.getsockopt,
        .setsockopt = real.setsockopt,
        .sendmsg = shared_send,
        .recvmsg = real.recvmsg,
        .recv = real.recv,
        .dup3 = real.dup3,
        .shutdown = real.shutdown,
        .close = close_any,
        .poll = real.poll,
        .hide = private_move,
    };
}

/* There is a tree. */
static void begin(void)
{
    unsigned board = tree_board(&our.tree); /* three calls: asked once */

    our.has_line = board == BOARD_BROKER && private_is(our.tree.first + TREE_LINE);
    if (board)
        tally_start(our.tree.first + TREE_BOARD);
    atomic_store(&our.on, true);
}

void shared_start(void)
{
    if (self.config.share == CONFIG_SHARE_OFF) {
        tracing_alone();
        return;
    }
    take_calls();
    our.handed = inherited_find(&our.tree, &our.calls);
    our.may_join = !our.handed && self.config.share == CONFIG_SHARE_USER && !env_get(TREE_VARIABLE);
    if (our.may_join)
        inherited_note_place();
    if (our.handed)
        begin();
    else
        tracing_alone();
}

/* A program that no launcher has started looks for the broker when it could first be of use, and from time
 * to time again where there is none. */
static bool reach(void)
{
    if (our.on || !our.may_join || !self_is_ours() || !lock_take(&shared_joining))
        return our.on;
    int saved = errno;
    uint64_t now = self_coarse_ms();
    if (!our.on && now >= our.next_try_ms) {
        our.next_try_ms = now + TRY_EVERY_MS;
        if (inherited_join(&our.tree, &our.calls))
            begin();
    }
    errno = saved;
    lock_give(&shared_joining);
    return our.on;
}

void shared_note_connect(void)
{
    if (!our.on && !our.may_join)
        return;
    uint64_t now = self_coarse_ms();
    bool soon = now - atomic_load_explicit(&our.last_connect_ms, memory_order_relaxed) <= HOT_MS;
    unsigned n = atomic_load_explicit(&our.run, memory_order_relaxed);

    atomic_store_explicit(&our.last_connect_ms, now, memory_order_relaxed);
    atomic_store_explicit(&our.run, !soon ? 0 : n < HOT_RUN ? n + 1 : n, memory_order_relaxed);
}

static bool is_hot(void)
{
    return atomic_load_explicit(&our.run, memory_order_relaxed) >= HOT_RUN && !atomic_load(&our.ending) &&
           self_coarse_ms() - atomic_load_explicit(&our.last_connect_ms, memory_order_relaxed) <= HOT_MS;
}

/* What has another user's key stays with this process; and a thread that is somebody else touches no queue. */
static bool is_for_all(const struct endpoint *to)
{
    return identity_is_of_home(to) && identity_at_home();
}

static bool set_nonblocking(int fd, bool nonblocking)
{
    return real.fcntl(fd, F_SETFL, (void *)(intptr_t)(O_RDWR | (nonblocking ? O_NONBLOCK : 0))) == 0;
}

/* Who takes it has it under a low number for a moment.  A thread that reads by such a number, which another one
 * has closed, must not find that it can wait there: the answer to a later request would be its own. */
static bool give(const struct endpoint *to, const struct idle *idle)
{
    struct idle quiet = *idle;
    int saved = errno;
    struct board *board = tally_board();
    uint64_t now = self_now_ms();
    int result = -EINVAL;

    if (board && board_is_full(board, to, now)) {
        errno = saved;
        return false;
    }
    quiet.nonblocking = true;
    if (private_is(our.tree.first) && is_for_all(to) && (idle->nonblocking || set_nonblocking(idle->fd, true))) {
        result = tree_give(&our.tree, to, &quiet, self.config.max_per_endpoint, now);
        if (result < 0 && !idle->nonblocking)
            set_nonblocking(idle->fd, false);
        if (board && (result == TREE_IN_PLACE || result == -EAGAIN || result == -ETOOMANYREFS))
            board_note_full(board, to, now);
    }
    errno = saved;
    if (result < 0)
        return false;
    private_close(idle->fd);
    stats_count(shared_given);
    return true;
}

static void give_some(unsigned most)
{
    struct endpoint to;
    struct idle idle;
    unsigned others = 0;

    while (identity_at_home() && others <= pool_count() && most-- && pool_take_any(&to, &idle) == 0) {
        enum reason wrong = pool_examine(&to, &idle);
        if (wrong == REASON_none && (idle.secured || !identity_is_of_home(&to))) {
            uint64_t passed = self_now_ms() - idle.parked_ms;
            idle.idle_ms = passed < idle.idle_ms ? idle.idle_ms - (uint32_t)passed : 0;
            pool_park(&to, &idle);
            others++;
            continue;
        }
        if (wrong != REASON_none || !give(&to, &idle))
            idle_discard(&idle, wrong != REASON_none ? wrong : REASON_pool_full);
    }
}

enum reason shared_park(const struct endpoint *to, const struct idle *idle)
{
    if (!is_for_all(to) || !reach())
        return pool_park(to, idle);
    tally(atomic_load(&our.ending));
    if (is_hot()) {
        atomic_store_explicit(&shared_keeping, true, memory_order_relaxed);
        return pool_park(to, idle);
    }
    if (pool_count())
        give_some(LEFT_AT_ONCE);
    if (pool_refusal(to, idle) == REASON_none && give(to, idle))
        return REASON_none;
    return pool_park(to, idle);
}

/* What the board promises is asked for. */
static int ask(const struct endpoint *key, const struct wanted *wanted, struct idle *out)
{
    struct board *board = our.has_line && private_is(our.tree.first + TREE_LINE) ? tally_board() : NULL;
    uint64_t now = self_now_ms();

    if (!board || !board_promises(board, key, now))
        return -ENOENT;
    int result = broker_ask(&our.tree, key, wanted, out, now);
    board_count(board, asked, 1);
    board_count(board, asked_for, result == 0);
    if (result == -ETIMEDOUT) {
        board_count(board, unanswered, 1);
        board_leave_alone(board, now, BROKER_ALONE_MS);
    } else if (result == -EPIPE || result == -ECONNRESET || result == -ENOTCONN) {
        board_leave_alone(board, now, UINT64_MAX);
    }
    return result;
}

static int take(const struct endpoint *key, const struct wanted *wanted, struct idle *out)
{
    int result = tree_take(&our.tree, key, wanted, out, self_now_ms());

    return result == -ENOENT ? ask(key, wanted, out) : result;
}

int shared_lease(const struct endpoint *to, const struct wanted *wanted, struct idle *out, enum reason *why)
{
    int saved = errno;
    int result = -ENOENT, taken;

    if (!is_for_all(to) || !reach() || !private_is(our.tree.first)) {
        errno = saved;
        return -ENOENT;
    }
    tally(false);
    while ((taken = take(to, wanted, out)) == 0) {
        enum reason wrong = pool_examine(to, out);
        if (wrong == REASON_none) {
            stats_count(shared_taken);
            result = 0;
            break;
        }
        if (wrong == REASON_replaced) /* not the socket that its message spoke of */
            private_close(out->fd);
        else
            idle_discard(out, wrong);
        *why = wrong;
    }
    if (taken == -EMFILE)
        *why = REASON_no_private_fd;
    errno = saved;
    return result;
}

unsigned shared_release_place(const struct endpoint *to)
{
    bool told = false;

    if (!our.on || !private_is(our.tree.first) || !identity_at_home())
        return 0;
    if (our.has_line && private_is(our.tree.first + TREE_LINE))
        told = broker_release(&our.tree, to) == 0;
    return tree_release_place(&our.tree, to, self_now_ms()) + told;
}

void shared_sweep(void)
{
    if (!our.handed || !our.on || !self.active || !self_is_ours() || !identity_at_home() || !private_is(our.tree.first))
        return;
    int state = cancel_forbid(), saved = errno;
    tree_sweep(&our.tree, self_now_ms());
    errno = saved;
    cancel_allow(state);
}

void shared_give_rest(void)
{
    int state = cancel_forbid();

    give_some(private_limit());
    tally(true);
    cancel_allow(state);
}

void shared_give_all(void)
{
    if (!our.on || !self.active || !self_is_ours())
        return;
    atomic_store_explicit(&shared_keeping, false, memory_order_relaxed);
    shared_give_rest();
}

bool shared_ends(void)
{
    return our.on && self.active && self_is_ours() && !atomic_exchange(&our.ending, true);
}

bool shared_may_leave(void)
{
    return our.handed && !self.retired;
}

bool shared_leave(const char *path, char *const *env)
{
    int saved = errno;
    bool handed_down = shared_may_leave() && handdown_is_for(&our.tree, path, env);

    shared_give_all();
    if (handed_down)
        handdown_open(&our.tree);
    errno = saved;
    return handed_down;
}

void shared_stay(bool handed_down)
{
    int saved = errno;

    if (handed_down)
        handdown_shut(&our.tree);
    errno = saved;
}

/* Where other threads run, one of them may be about to use a number: something harmless comes under it. */
static void give_up(int number, int harmless)
{
    if (!private_is(number))
        return;
    if (harmless < 0 || real.dup3(harmless, number, O_CLOEXEC) < 0)
        private_close(number);
}

void shared_renounce(void)
{
    our.may_join = our.handed = false;
    if (!atomic_exchange(&our.on, false))
        return;
    int harmless = !self_alone() ? real.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    for (int i = 0; i < TREE_FDS; i++)
        give_up(our.tree.first + i, harmless);
    if (harmless >= 0)
        real.close(harmless);
    tally_end();
}

void shared_close_copies(void)
{
    for (int i = 0; i < TREE_FDS && our.on; i++)
        if (private_is(our.tree.first + i))
            real.close(our.tree.first + i);
}
