/* SPDX-License-Identifier: ISC */
/* Numbers: close, dup and their kind, fcntl, epoll_ctl. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/wire/closing.h"
#include "preload/wire/endwait.h"
#include "preload/wire/readiness.h"
#include "preload/conn/deferred.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <unistd.h>

void hook_number_goes(int fd)
{
    struct conn *c;

    if (hook_enter(fd, NEED_ALL, &c) != ENTERED)
        return;
    closing_number(c, fd);
    closing_gone(c, fd);
    conn_leave(c);
}

/* The lock is held until the number is gone: another thread must not find there what closing left. */
static OUT_OF_LINE int tracked_close(int fd)
{
    struct conn *c;
    enum hook_entry entry = hook_enter(fd, NEED_AS_IS | CANCELLATION_POINT, &c);

    if (entry == OURS)
        return (int)hook_result(-EBADF);
    if (entry == BUSY)
        conn_close_from_handler(fd);
    if (entry != ENTERED)
        return real.close(fd);
    closing_number(c, fd);
    int result = real.close(fd);
    closing_gone(c, fd);
    conn_leave(c);
    return result;
}

int close(int fd)
{
    return likely(!conn_find(fd)) ? real.close(fd) : tracked_close(fd);
}

/* A second number for a tracked socket.  Before connect nobody can say what it will be used for; as
 * standard input or output it will be used by stdio, past us, or by another program. */
static void follow_copy(struct conn *c, int fd, int copy, bool cloexec)
{
    if (conn_is_new(c)) {
        conn_bypass(c, REASON_dup_before_connect);
    } else if (!conn_add_fd(c, copy, cloexec)) {
        c->copied = true;
        conn_forbid_parking(c, REASON_duplicated);
    } else if (copy <= STDERR_FILENO && !conn_is_exchange(c) && !conn_has_ended(c)) {
        closing_leave_alone(c, fd, REASON_odd_descriptor);
    }
}

/* What a real call may make a copy by. */
enum copying { COPY_ANY, COPY_FROM, COPY_ONTO };

static int copy_really(enum copying how, int fd, int number, bool cloexec)
{
    switch (how) {
    case COPY_FROM:
        return real.fcntl(fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, (void *)(intptr_t)number);
    case COPY_ONTO: /* dup2 and dup3 differ in what both being the same means, which is not so here */
        return real.dup3(fd, number, cloexec ? O_CLOEXEC : 0);
    default:
        return real.dup(fd);
    }
}

/* Makes a copy of a number that may be tracked.  No other socket can get under fd meanwhile. */
static int copy_number(enum copying how, int fd, int number, bool cloexec)
{
    struct conn *c;
    if (hook_enter(fd, NEED_ALL, &c) == OURS)
        return (int)hook_result(-EBADF);
    int copy = copy_really(how, fd, number, cloexec);
    int saved = errno;
    struct conn *stale = copy >= 0 ? conn_find(copy) : NULL; /* closed where we did not see it */
    bool under_way = false;

    if (stale == CONN_PRIVATE)
        private_forget(copy);
    if (c && copy >= 0 && stale != c) {
        follow_copy(c, fd, copy, cloexec);
        under_way = copy == STDIN_FILENO && c->fds.count && conn_is_exchange(c);
    }
    if (c)
        conn_leave(c);
    if (stale && stale != CONN_PRIVATE && stale != c)
        conn_drop_stale(stale, copy);
    if (under_way)
        hook_stdio_take_stdin();
    errno = saved;
    return copy;
}

int dup(int fd)
{
    if (!self_is_ours())
        return real.dup(fd);
    deferred_new_number();
    return copy_number(COPY_ANY, fd, 0, false);
}

/* Something that is not tracked comes to lie under a number that is. */
static int replace(int fd, int onto, int flags)
{
    struct conn *c;

    if (hook_enter(onto, NEED_ALL, &c) == ENTERED)
        closing_number(c, onto);
    int result = real.dup3(fd, onto, flags);
    if (c) {
        closing_gone(c, onto);
        c->fds.closed = false; /* who is inside and comes back finds what lies there now */
        conn_leave(c);
    }
    return result;
}

/* What lay under the target is closed by the call; one of our own is given up (the pool finds out).  Of two
 * tracked ones the target goes first: two locks are never held.  False: libc's call is enough. */
static bool prepare_target(int fd, int onto)
{
    struct conn *target = conn_find(onto);

    if (!self_is_ours())
        return false;
    deferred_new_number();
    if ((!conn_find(fd) && !target) || fd == onto)
        return false;
    if (target == CONN_PRIVATE)
        private_forget(onto);
    else if (real.fcntl(fd, F_GETFD) < 0)
        return false;
    else if (target && conn_find(fd))
        hook_number_goes(onto);
    return true;
}

/* One socket under two numbers already: the kernel lets its registrations in epoll sets be (tests/assume/dup_onto_copy.c).
 * CONN_PLAIN or the answer. */
static int copy_onto_copy(int fd, int onto, int flags)
{
    bool same = fd != onto && conn_find(fd) && conn_find(fd) == conn_find(onto);
    struct conn *c = same ? conn_enter(onto, NEED_AS_IS) : NULL;

    if (!c)
        return CONN_PLAIN;
    int result = conn_owns(c, fd) ? real.dup3(fd, onto, flags) : CONN_PLAIN;
    if (result >= 0)
        conn_set_cloexec(c, onto, flags & O_CLOEXEC);
    conn_leave(c);
    return result;
}

int dup2(int fd, int onto)
{
    if (hook_hides(fd))
        return (int)hook_result(-EBADF);
    int result = copy_onto_copy(fd, onto, 0);
    if (result != CONN_PLAIN)
        return result;
    if (!prepare_target(fd, onto))
        return real.dup2(fd, onto);
    return conn_find(fd) ? copy_number(COPY_ONTO, fd, onto, false) : replace(fd, onto, 0);
}

int dup3(int fd, int onto, int flags)
{
    if (hook_hides(fd))
        return (int)hook_result(-EBADF);
    int result = flags & ~O_CLOEXEC ? CONN_PLAIN : copy_onto_copy(fd, onto, flags);
    if (result != CONN_PLAIN)
        return result;
    if (flags & ~O_CLOEXEC || !prepare_target(fd, onto))
        return real.dup3(fd, onto, flags);
    return conn_find(fd) ? copy_number(COPY_ONTO, fd, onto, flags & O_CLOEXEC) : replace(fd, onto, flags);
}

enum { OTHER_FLAGS = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME }; /* than O_NONBLOCK */

/* What does not touch the socket.  Most clients ask for its flags, and set O_NONBLOCK, before they connect. */
static bool is_harmless(int command, long argument)
{
    return command == F_GETFL || command == F_GETFD || command == F_SETFD ||
           (command == F_SETFL && !(argument & OTHER_FLAGS));
}

/* Of a spare that is not settled.  CONN_PLAIN or the answer. */
static int unready_fcntl(struct conn *c, int command, long argument)
{
    if (command == F_GETFL)
        return O_RDWR | (c->nonblocking ? O_NONBLOCK : 0);
    if (command != F_SETFL)
        return CONN_PLAIN;
    c->nonblocking = argument & O_NONBLOCK;
    return 0;
}

/* CONN_PLAIN or the answer. */
static int change_entered(struct conn *c, int fd, int command, long argument)
{
    int result = c->state == CONN_NEW_UNREADY ? unready_fcntl(c, command, argument) : CONN_PLAIN;
    if (result != CONN_PLAIN)
        return result;
    switch (command) {
    case F_SETFD:
        conn_set_cloexec(c, fd, argument & FD_CLOEXEC);
        return CONN_PLAIN;
    case F_GETFL:
        return conn_has_ended(c) && !c->after.own_end ? O_RDWR | (c->nonblocking ? O_NONBLOCK : 0) : CONN_PLAIN;
    case F_SETFL:
        if (conn_has_ended(c) && argument & OTHER_FLAGS)
            hook_end_of_its_own(c);
        readiness_set_nonblocking(c, argument & O_NONBLOCK);
        if (argument & O_ASYNC)
            closing_leave_alone(c, fd, REASON_odd_descriptor);
        return conn_has_ended(c) && !c->copied && !c->after.own_end ? 0 : CONN_PLAIN;
    case F_SETOWN:
    case F_SETOWN_EX:
    case F_SETSIG:
        if (conn_has_ended(c))
            hook_end_of_its_own(c);
        closing_leave_alone(c, fd, REASON_odd_descriptor);
        return CONN_PLAIN;
    default:
        return CONN_PLAIN;
    }
}

typedef int fcntl_call(int fd, int command, ...);

static int tracked_fcntl(fcntl_call *libc, int fd, int command, void *argument)
{
    const long number = (long)(intptr_t)argument;
    struct conn *c;
    enum hook_entry entry = hook_enter(fd, is_harmless(command, number) ? NEED_AS_IS : NEED_ALL, &c);
    int result = CONN_PLAIN;

    if (entry == OURS)
        return (int)hook_result(-EBADF);
    if (entry == ENTERED) {
        result = change_entered(c, fd, command, number);
        if (result == CONN_PLAIN && command == F_SETFL) /* before another socket can lie there */
            result = libc(fd, command, argument);
        conn_leave(c);
    }
    return result == CONN_PLAIN ? libc(fd, command, argument) : result;
}

static int any_fcntl(fcntl_call *libc, int fd, int command, void *argument)
{
    bool copies = command == F_DUPFD || command == F_DUPFD_CLOEXEC;

    if (copies && self_is_ours())
        deferred_new_number();
    if (likely(!conn_find(fd)))
        return libc(fd, command, argument);
    if (copies && self_is_ours())
        return copy_number(COPY_FROM, fd, (int)(intptr_t)argument, command == F_DUPFD_CLOEXEC);
    return tracked_fcntl(libc, fd, command, argument);
}

int fcntl(int fd, int command, ...)
{
    void *argument[1];
    REAL_WORDS(argument, command);
    return any_fcntl(real.fcntl, fd, command, argument[0]);
}

int fcntl64(int fd, int command, ...)
{
    void *argument[1];
    REAL_WORDS(argument, command);
    return any_fcntl(real.fcntl64, fd, command, argument[0]);
}

/* What the kernel is told, where that is more than the client asks for: in `more`. */
static struct epoll_event *registered(const struct conn *c, int op, struct epoll_event *event, struct epoll_event *more)
{
    if (!c->registrations.watched || op == EPOLL_CTL_DEL || !event)
        return event;
    *more = *event;
    more->events = registrations_mask(&c->registrations, event->events);
    return more;
}

/* Of a locked conn.  What the client takes out again before it was put in stays out. */
static int register_entered(struct conn *c, int epfd, int op, int fd, struct epoll_event *event)
{
    if (op != EPOLL_CTL_DEL)
        readiness_note(c);
    if (op == EPOLL_CTL_ADD && deferred_add(c, epfd, fd, event))
        return 0;
    if (op == EPOLL_CTL_DEL && c->state == CONN_LEASED_UNREGISTERED && c->registrations.set[0].epfd == epfd) {
        conn_deferred_over(c);
        registrations_note(&c->registrations, epfd, op, fd, 0, 0);
        return 0;
    }
    if (c->state == CONN_LEASED_UNREGISTERED)
        deferred_apply(c);
    struct epoll_event more;
    int real_op = registrations_operation(&c->registrations, epfd, op, fd);
    int result = real_op ? real.epoll_ctl(epfd, real_op, fd, registered(c, op, event, &more)) : 0;
    if (result != 0 && real_op != op && errno == EEXIST) /* by a process that shares the set */
        result = real.epoll_ctl(epfd, op, fd, registered(c, op, event, &more));
    if (result != 0)
        return result;
    deferred_is_set(epfd);
    if (!registrations_note(&c->registrations, epfd, op, fd, event ? event->events : 0, event ? event->data.u64 : 0))
        closing_leave_alone(c, fd, REASON_odd_descriptor);
    if (event && op != EPOLL_CTL_DEL)
        endwait_note(c, event->events);
    return result;
}

/* A registration leaves nothing behind on the socket of a NEW conn: it is taken out again. */
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    const struct conn *found = conn_find(fd);
    const bool is_new = found && conn_is_new(found);
    struct conn *c;
    enum hook_entry entry =
        hook_enter(fd, op == EPOLL_CTL_DEL ? NEED_AS_IS : is_new ? NEED_ALL_BUT_END : NEED_ALL, &c);

    if (entry != ENTERED)
        return entry == OURS ? (int)hook_result(-EBADF) : real.epoll_ctl(epfd, op, fd, event);
    int result = register_entered(c, epfd, op, fd, event);
    conn_leave(c);
    return result;
}

int epoll_create(int size)
{
    deferred_new_number();
    return real.epoll_create(size);
}

int epoll_create1(int flags)
{
    deferred_new_number();
    return real.epoll_create1(flags);
}
