/* SPDX-License-Identifier: ISC */
/* shutdown, names and ioctl: on an ended fd most of them answer from memory, because the end-of-file socket is shared and
 * nothing may change it. */
#include "preload/hooks/hook.h"

#include "preload/wire/behind.h"
#include "preload/wire/endwait.h"
#include "preload/wire/closing.h"
#include "preload/wire/lookahead.h"
#include "preload/wire/observed.h"
#include "preload/wire/readiness.h"
#include "preload/fds/socket.h"
#include "preload/fds/options.h"
#include "preload/conn/name.h"
#include "preload/conn/swap.h"
#include "preload/conn/under.h"
#include "preload/fds/table.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

/* A FIN takes along what TCP_CORK or MSG_MORE holds back; TCP_NODELAY, set anew, does too (tcp(7)). */
static void send_corked(struct conn *c, int fd)
{
    options_hasten(fd);
    if (!c->reused)
        options_slow(&c->options, fd);
}

/* CONN_PLAIN or the answer. */
static int shut_entered(struct conn *c, int fd, int how)
{
    bool sending = how == SHUT_WR || how == SHUT_RDWR;

    switch (c->state) {
    case CONN_NEW_UNREADY: /* answers ENOTCONN, and counts all the same */
    case CONN_NEW:
    case CONN_NEW_TOUCHED:
    case CONN_FRESH:
    case CONN_LEASED_UNREGISTERED:
    case CONN_LEASED:
        closing_leave_alone(c, fd, REASON_half_closed);
        return CONN_PLAIN;
    case CONN_EXCHANGE_PARTLY_SENT:
    case CONN_EXCHANGE:
        if (c->after.write_shut && endwait_settle(c)) /* both sides have ended */
            return -ENOTCONN;
        if (how == SHUT_RD && c->after.write_shut) { /* the kernel is to say that both are */
            conn_forbid_parking(c, REASON_half_closed);
            return real.shutdown(fd, SHUT_RDWR) == 0 ? 0 : -errno;
        }
        if (how == SHUT_WR && c->state == CONN_EXCHANGE && exchange_request_done(&c->x) && !c->after.read_shut) {
            c->after.write_shut = true; /* a FIN would end the connection */
            endwait_note(c, 0);
            send_corked(c, fd);
            behind_end(c);
            return 0;
        }
        conn_forbid_parking(c, sending ? REASON_half_closed : REASON_odd_descriptor);
        return how == SHUT_RD && c->after.end_asked ? 0 : CONN_PLAIN; /* with both sides ended, the kernel resets what comes */
    case CONN_OBSERVED_PARTLY_SENT:
    case CONN_OBSERVED:
        if (sending && !c->use.inside && observed_verdict(c) == REASON_none && !socket_was_reset(fd)) {
            c->after.write_shut = true; /* the client is done with it: its server would end it now */
            swap_end(c);
            return 0;
        }
        conn_forbid_parking(c, REASON_half_closed);
        return CONN_PLAIN;
    case CONN_SECURED:
        conn_forbid_parking(c, REASON_half_closed);
        return CONN_PLAIN;
    case CONN_ENDED_UNSWAPPED:
    case CONN_ENDED:
        if (how != SHUT_RD && !sending)
            return -EINVAL;
        if (c->after.own_end)
            return CONN_PLAIN;
        if (c->after.write_shut || c->after.reset != RESET_NOT)
            return -ENOTCONN; /* both sides have ended */
        c->after.write_shut = sending;
        if (sending)
            under_hang_up(c);
        return 0;
    default:
        return CONN_PLAIN;
    }
}

int shutdown(int fd, int how)
{
    struct conn *c;
    enum hook_entry entry = hook_enter(fd, NEED_ALL_BUT_END, &c);

    if (entry != ENTERED)
        return entry == OURS ? (int)hook_result(-EBADF) : real.shutdown(fd, how);
    conn_wait_reconnected(c);
    c->after.read_shut |= how == SHUT_RD || how == SHUT_RDWR;
    int result = shut_entered(c, fd, how);
    bool ended_for_it = conn_is_exchange(c) && c->after.end_asked && !c->after.write_shut;
    /* Under the lock: no socket of ours can get there in between. */
    result = result == CONN_PLAIN ? real.shutdown(fd, how) : (int)hook_result(result);
    c->after.write_ended |= result == 0 && how != SHUT_RD && conn_is_exchange(c) && !c->after.write_shut;
    if (result < 0 && errno == ENOTCONN && ended_for_it) /* both sides have ended, but one of them not by the client */
        result = 0;
    conn_leave(c);
    return result;
}

static socklen_t name_len(const union endpoint_name *name)
{
    return name->any.sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* The names that the connection has, or had when it ended. */
static const union endpoint_name *known_name(struct conn *c, int fd, bool peer)
{
    if (!peer && conn_is_leased(c) && !c->reported_name.any.sa_family)
        name_check(c);
    bool remember = conn_is_leased(c) || conn_is_asked(c);
    socklen_t len = sizeof c->reported_name;

    if (peer)
        return conn_has_ended(c) || hook_may_replace(c) || c->after.end_asked ? &c->peer : NULL;
    sa_family_t *family = &c->reported_name.any.sa_family;
    if (!*family && (conn_has_ended(c) || (conn_is_leased(c) && c->idle.local.any.sa_family)))
        c->reported_name = c->idle.local;
    else if (!*family && remember && real.getsockname(fd, &c->reported_name.any, &len) != 0)
        *family = 0;
    return *family ? &c->reported_name : NULL;
}

/* Both sides have ended: there is no peer any more. */
static bool has_closed(struct conn *c, int fd)
{
    union endpoint_name name;
    socklen_t len = sizeof name;

    if (!c->after.own_end)
        return c->after.reset != RESET_NOT || (c->after.write_shut && (conn_has_ended(c) || endwait_settle(c)));
    int saved = errno;
    bool closed = real.getpeername(fd, &name.any, &len) != 0;
    errno = saved;
    return closed;
}

static int tracked_name(int fd, const struct sockaddr *name, socklen_t *len, bool peer)
{
    struct conn *c;

    if (hook_hides(fd))
        return (int)hook_result(-EBADF);
    if (!name || !len || hook_enter(fd, NEED_ALL, &c) != ENTERED)
        return CONN_PLAIN;
    bool closed = peer && has_closed(c, fd);
    int result = closed ? -ENOTCONN : CONN_PLAIN;
    const union endpoint_name *known = closed ? NULL : known_name(c, fd, peer);
    if (known && (int)*len < 0) {
        result = -EINVAL;
    } else if (known) {
        socklen_t room = *len, whole = name_len(known);
        memcpy((void *)(uintptr_t)name, known, room < whole ? room : whole);
        *len = whole;
        result = 0;
    }
    conn_leave(c);
    return result == CONN_PLAIN ? result : (int)hook_result(result);
}

int getpeername(int fd, struct sockaddr *name, socklen_t *len)
{
    if (likely(!conn_find(fd)))
        return real.getpeername(fd, name, len);
    int result = tracked_name(fd, name, len, true);
    return result == CONN_PLAIN ? real.getpeername(fd, name, len) : result;
}

int getsockname(int fd, struct sockaddr *name, socklen_t *len)
{
    if (likely(!conn_find(fd)))
        return real.getsockname(fd, name, len);
    int result = tracked_name(fd, name, len, false);
    return result == CONN_PLAIN ? real.getsockname(fd, name, len) : result;
}

/* CONN_PLAIN or the answer. */
static int ioctl_entered(struct conn *c, int fd, unsigned long request, void *argument)
{
    int result;

    switch (request) {
    case FIONREAD:
        if (!conn_is_asked(c) && !conn_has_ended(c))
            return CONN_PLAIN;
        result = real.ioctl(fd, (real_ioctl_request)request, argument); /* a bad pointer fails there */
        if (result == 0)
            result = (int)lookahead_available(c, fd);
        if (result < 0)
            return result == -1 ? -errno : result;
        *(int *)argument = result;
        return 0;
    case FIONBIO:
        readiness_set_nonblocking(c, *(int *)argument != 0);
        return (conn_has_ended(c) && !c->copied && !c->after.own_end) || c->state == CONN_NEW_UNREADY ? 0 : CONN_PLAIN;
    case FIOCLEX:
    case FIONCLEX:
        conn_set_cloexec(c, fd, request == FIOCLEX);
        return CONN_PLAIN;
    case FIOASYNC:
    case FIOSETOWN:
    case SIOCSPGRP:
        if (conn_has_ended(c))
            hook_end_of_its_own(c);
        closing_leave_alone(c, fd, REASON_odd_descriptor);
        return CONN_PLAIN;
    default:
        return CONN_PLAIN;
    }
}

static OUT_OF_LINE int tracked_ioctl(int fd, real_ioctl_request request, void *argument)
{
    bool harmless = request == FIONBIO || request == FIOCLEX || request == FIONCLEX;
    struct conn *c;
    enum hook_entry entry = hook_enter(fd, harmless ? NEED_AS_IS : NEED_ALL, &c);

    if (entry != ENTERED)
        return entry == OURS ? (int)hook_result(-EBADF) : real.ioctl(fd, request, argument);
    int result = ioctl_entered(c, fd, (unsigned)request, argument);
    result = result == CONN_PLAIN ? real.ioctl(fd, request, argument) : (int)hook_result(result);
    conn_leave(c);
    return result;
}

int ioctl(int fd, real_ioctl_request request, ...)
{
    void *argument[1];
    REAL_WORDS(argument, request);
    return likely(!conn_find(fd)) ? real.ioctl(fd, request, argument[0]) : tracked_ioctl(fd, request, argument[0]);
}
