/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/stall.h"

#include "base/lock.h"
#include "pool/pool.h"
#include "preload/share/evidence.h"
#include "preload/conn/deferred.h"
#include "preload/self/identity.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/share/shared.h"
#include "preload/libc/signals.h"
#include "preload/fds/tcpinfo.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

enum {
    FIRST_MS = 400,  /* before anything is let go */
    SECOND_MS = 650, /* where that has helped: if it was chance, it will not come right after another time again */
    EXPECTS_MS = 1300, /* where the client waits for 100 Continue with a body that it then sends: curl waits for 1 s */
    TURNS_ALIKE = 12, /* then each takes twice as long as the one before; one that lets go of something ... */
    TURN_WEIGHS = 4,  /* ... counts for so many */
    HELPED_MS = 100, /* in which an answer comes that was kept waiting */
    LOOK_EVERY_MS = 10, /* where signals are held, and nothing shows them */
};

atomic_uint stall_count;

struct lock stall_lock = LOCK_FREE(stall_lock);

static struct {
    struct conn *waiting; /* linked by waiter.next */
    uint64_t tickets;
    _Atomic uint64_t next_ms; /* when the first of all is due, or earlier */
} line = { .next_ms = UINT64_MAX };

static void note_due(uint64_t due_ms)
{
    if (due_ms < atomic_load_explicit(&line.next_ms, memory_order_relaxed))
        atomic_store_explicit(&line.next_ms, due_ms, memory_order_relaxed);
}

int stall_turn_ms(void)
{
    uint64_t now = self_now_ms(), next = atomic_load_explicit(&line.next_ms, memory_order_relaxed);

    return next <= now ? 1 : next - now > SECOND_MS ? SECOND_MS : (int)(next - now);
}

/* It has helped.  What came of the same letting go, or nearly so, says nothing new. */
static void learn(const struct endpoint *to, uint64_t relieved_ms, uint64_t now_ms)
{
    uint32_t left = evidence_left(to, EVIDENCE_HELD_UP_ONCE);
    uint64_t noted_s = now_ms / 1000 + left - evidence_seconds(EVIDENCE_HELD_UP_ONCE);

    if (!left)
        evidence_note(to, EVIDENCE_HELD_UP_ONCE);
    else if (relieved_ms / 1000 > noted_s)
        evidence_note(to, EVIDENCE_ONE_AT_A_TIME);
}

static uint32_t first_turn(const struct conn *c)
{
    if (c->x.request.expects && !exchange_request_done(&c->x))
        return EXPECTS_MS;
    return evidence_has(&c->to, EVIDENCE_HELD_UP_ONCE) ? SECOND_MS : FIRST_MS;
}

void stall_begin(struct conn *c)
{
    if (c->waiter.ticket || c->reused || exchange_answered(&c->x) || !lock_take(&stall_lock))
        return;
    uint64_t now = self_now_ms();
    c->waiter.turn_ms = first_turn(c);
    c->waiter.due_ms = now + c->waiter.turn_ms;
    c->waiter.relieved_ms = 0;
    c->waiter.turns = 0;
    c->waiter.fd = c->fds.count ? c->fds.numbers[0].fd : -1;
    c->waiter.sent = exchange_request_done(&c->x) ? STALL_WHOLE : STALL_HEAD;
    c->waiter.acknowledged = 0;
    c->waiter.progress_ms = now;
    c->waiter.ticket = ++line.tickets;
    c->waiter.next = line.waiting;
    c->waiter.link = &line.waiting;
    if (line.waiting)
        line.waiting->waiter.link = &c->waiter.next;
    line.waiting = c;
    note_due(c->waiter.due_ms);
    lock_give(&stall_lock);
    atomic_fetch_add(&stall_count, 1);
}

/* When something was let go for it. */
static uint64_t take_out(struct conn *c)
{
    bool taken = lock_take(&stall_lock);

    *c->waiter.link = c->waiter.next;
    if (c->waiter.next)
        c->waiter.next->waiter.link = c->waiter.link;
    c->waiter.ticket = 0;
    uint64_t relieved_ms = c->waiter.relieved_ms;
    if (taken)
        lock_give(&stall_lock);
    return relieved_ms;
}

void stall_over(struct conn *c, bool answered)
{
    if (!c->waiter.ticket)
        return;
    uint64_t relieved_ms = take_out(c), now = answered && relieved_ms ? self_now_ms() : UINT64_MAX;
    atomic_fetch_sub(&stall_count, 1);
    if (answered && relieved_ms && now - relieved_ms <= HELPED_MS)
        learn(&c->to, relieved_ms, now);
}

void stall_after_fork(void)
{
    for (struct conn *c = line.waiting; c; c = c->waiter.next)
        c->waiter.ticket = 0;
    line.waiting = NULL;
    atomic_store(&stall_count, 0);
}

static void count_turns(struct conn *c, unsigned turns)
{
    c->waiter.turns += turns;
    if (c->waiter.turns >= TURNS_ALIKE)
        c->waiter.turn_ms *= 2;
}

/* Until when nothing is to be closed for the sake of c; 0: it is time.  *sends: a request is on its way.  The client may
 * take its time with a body; a server that acknowledges no more of what was sent is stalled. */
static uint64_t busy_until(struct conn *c, uint64_t now, bool *sends)
{
    bool in_part = c->waiter.sent == STALL_BODY_IN_PART;
    struct tcpinfo info;

    *sends = in_part;
    if (!tcpinfo_read(c->waiter.fd, &info))
        return 0;
    if (info.state == TCPINFO_ESTABLISHED && info.acknowledged != c->waiter.acknowledged) {
        c->waiter.acknowledged = info.acknowledged;
        c->waiter.progress_ms = now - info.since_ack_ms;
    }
    *sends = in_part || info.outstanding;
    if (now - c->waiter.progress_ms < c->waiter.turn_ms)
        return c->waiter.progress_ms + c->waiter.turn_ms;
    return in_part && !info.outstanding ? now + c->waiter.turn_ms : 0;
}

/* Is c due at `now`, and no other request on its way to that place?  If not, it is looked at again later. */
static bool is_due(struct conn *c, uint64_t now)
{
    bool sends;
    uint64_t until = c->waiter.due_ms > now ? c->waiter.due_ms : busy_until(c, now, &sends);

    for (struct conn *other = line.waiting; other && !until; other = other->waiter.next)
        if (other != c && endpoint_same_place(&other->to, &c->to)) {
            uint64_t busy = busy_until(other, now, &sends);
            until = sends ? busy : 0;
        }
    if (!until)
        return true;
    c->waiter.due_ms = until;
    note_due(until);
    return false;
}

/* One that is due at `now`: its conn, where it leads and its ticket; it is due again later.  NULL: there is none. */
static struct conn *take_due(uint64_t now, struct endpoint *to, uint64_t *ticket)
{
    struct conn *c;

    if (!lock_take(&stall_lock))
        return NULL;
    for (c = line.waiting; c && !is_due(c, now); c = c->waiter.next)
        ;
    if (c) {
        *to = c->to;
        *ticket = c->waiter.ticket;
        count_turns(c, 1);
        c->waiter.due_ms = now + c->waiter.turn_ms;
    }
    lock_give(&stall_lock);
    return c;
}

/* Conns are never given back to the kernel: what it waits for may only be another thing by now. */
static void note_relieved(struct conn *c, uint64_t ticket, uint64_t now)
{
    if (!lock_take(&stall_lock))
        return;
    if (c->waiter.ticket == ticket) {
        c->waiter.relieved_ms = now;
        count_turns(c, TURN_WEIGHS - 1);
        c->waiter.due_ms = now + c->waiter.turn_ms;
    }
    lock_give(&stall_lock);
}

/* Nothing is kept without one of these (preload/conn/trial.h). */
static bool may_be_idle(const struct endpoint *to)
{
    return evidence_has(to, EVIDENCE_REUSED) || evidence_has(to, EVIDENCE_SAID_SO) ||
           evidence_has(to, EVIDENCE_HEEDS_CLOSE) || evidence_has(to, EVIDENCE_SILENT);
}

void stall_make_way(const struct endpoint *to)
{
    int saved = errno;

    if (!may_be_idle(to))
        return;
    pool_release_place(to);
    shared_release_place(to);
    errno = saved;
}

void stall_relieve(void)
{
    int saved = errno;
    uint64_t now = self_now_ms(), ticket;
    struct endpoint to;
    struct conn *c;

    if (!self_is_ours() || now < atomic_load_explicit(&line.next_ms, memory_order_relaxed))
        return;
    atomic_store_explicit(&line.next_ms, UINT64_MAX, memory_order_relaxed);
    deferred_apply_all();
    while ((c = take_due(now, &to, &ticket)))
        if (pool_release_place(&to) + shared_release_place(&to))
            note_relieved(c, ticket, now);
    errno = saved;
}

/* What a handler makes of a wait that it interrupts (signal(7)). */
enum effect { NONE, ENDS, GOES_ON };

static enum effect effect_of(int number)
{
    struct sigaction action;

    if (sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL)
        return NONE;
    return action.sa_flags & SA_RESTART ? GOES_ON : ENDS;
}

/* Would a receive come back for one of these?  Their handlers have not run yet. */
static bool ends_a_wait(const sigset_t *signals)
{
    for (int i = 1; i < NSIG; i++)
        if (sigismember(signals, i) == 1 && effect_of(i) == ENDS)
            return true;
    return false;
}

enum { OVER, THERE, UNKNOWN };

/* Of a wait of `ms` that came back with nothing.  One that comes back too early would do so for ever. */
static int without_event(uint64_t begun, int ms)
{
    return self_now_ms() - begun + 1 >= (uint64_t)ms ? OVER : UNKNOWN;
}

/* OVER: the time is, or a signal came that ends no wait; THERE: the event is; UNKNOWN: there is no waiting here;
 * -EINTR. */
static int wait_held(int fd, short events, int ms, const sigset_t *wanted)
{
    /* By a signalfd a signal that is held shows itself at once. */
    struct pollfd wait[2] = { { .fd = fd, .events = events }, { .fd = signalfd(-1, wanted, SFD_CLOEXEC), .events = POLLIN } };
    uint64_t begun = self_now_ms();
    sigset_t pending;

    if (wait[1].fd < 0 && ms > LOOK_EVERY_MS)
        ms = LOOK_EVERY_MS;
    int n = real.poll(wait, 2, ms);
    if (wait[1].fd >= 0)
        real.close(wait[1].fd);
    if (n < 0 || wait[0].revents)
        return THERE;
    sigpending(&pending);
    sigandset(&pending, &pending, wanted);
    if (!sigisemptyset(&pending))
        return ends_a_wait(&pending) ? -EINTR : OVER;
    return without_event(begun, ms);
}

/* Waits for an event with all signals held, so that it can be told which one came. */
static int wait_alone(int fd, short events, int ms)
{
    sigset_t own, wanted;

    signals_hold(&own);
    sigemptyset(&wanted);
    for (int i = 1; i < NSIG; i++)
        if (sigismember(&own, i) == 0)
            sigaddset(&wanted, i);
    int result = wait_held(fd, events, ms, &wanted);
    signals_release(&own);
    return result;
}

/* Does any signal end a wait?  `going_on`: those that do not.  But for what a thread does to itself. */
static bool sort_signals(sigset_t *going_on, bool *some_go_on)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    bool some_end = false;
    sigset_t others;

    *some_go_on = false;
    sigemptyset(going_on);
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&others, own[i]);
    for (int i = 1; i < NSIG; i++) {
        enum effect effect = sigismember(&others, i) == 1 ? effect_of(i) : NONE;
        some_end |= effect == ENDS;
        if (effect == GOES_ON) {
            sigaddset(going_on, i);
            *some_go_on = true;
        }
    }
    return some_end;
}

/* Among threads a signal that is held here goes to another one, and ends no wait.  So those that end one are let through;
 * where there are others as well, those are held, or it could not be told which one came.  A change of user among threads
 * comes by a signal of libc's own, with SA_RESTART (nptl(7)). */
static int wait_among(int fd, short events, int ms)
{
    struct pollfd wait = { .fd = fd, .events = events };
    sigset_t going_on, own;
    bool some_go_on;

    if (real.poll(&wait, 1, 0) > 0)
        return THERE;
    bool some_end = sort_signals(&going_on, &some_go_on), holds = some_end && some_go_on;
    unsigned changes = atomic_load(&identity_changes);
    if (holds) {
        pthread_sigmask(SIG_BLOCK, &going_on, &own);
        ms = ms < LOOK_EVERY_MS ? ms : LOOK_EVERY_MS;
    }
    uint64_t begun = self_now_ms();
    int n = real.poll(&wait, 1, ms);
    if (holds)
        pthread_sigmask(SIG_SETMASK, &own, NULL);
    if (n < 0 && errno == EINTR)
        return some_end && atomic_load(&identity_changes) == changes ? -EINTR : OVER;
    return n != 0 ? THERE : without_event(begun, ms);
}

/* The lock is not held while it waits. */
static int wait_outside(struct conn *c, int fd, short events, int ms)
{
    conn_outside_begin(c);
    int result = self_alone() ? wait_alone(fd, events, ms) : wait_among(fd, events, ms);
    conn_outside_end(c);
    return result;
}

/* The kernel then ends the call's wait, and begins to count when the call is made. */
static bool has_timeout(int fd, short events)
{
    struct timeval time = { 0 };
    socklen_t len = sizeof time;

    real.getsockopt(fd, SOL_SOCKET, events == POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO, &time, &len);
    return time.tv_sec || time.tv_usec;
}

int stall_wait(struct conn *c, int fd, short events)
{
    unsigned generation = c->fds.generation;
    int saved = errno, result = OVER;

    if (!c->waiter.ticket || has_timeout(fd, events))
        return 1;
    while (result == OVER && c->waiter.ticket && c->fds.generation == generation && c->fds.count) {
        stall_relieve();
        result = wait_outside(c, conn_number(c, fd), events, stall_turn_ms());
    }
    errno = saved;
    return result < 0 ? result : result == UNKNOWN;
}
