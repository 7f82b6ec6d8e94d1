/* SPDX-License-Identifier: ISC */
/* socket, connect, bind, listen: where conns begin, and where idle connections are lent. */
#include "preload/hooks/hook.h"

#include "base/raw.h"
#include "preload/libc/cancel.h"
#include "preload/conn/connecting.h"
#include "preload/self/identity.h"
#include "preload/self/listeners.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/conn/refused.h"
#include "preload/share/shared.h"
#include "preload/fds/spare.h"
#include "preload/share/tracing.h"
#include "preload/conn/parking.h"
#include "preload/fds/table.h"
#include "preload/wire/reconnect.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>

/* A number for the spare socket, as socket(2) would have given: the lowest that is free. */
static int socket_from_spare(int domain, int type, int *private_fd, struct spare *spare)
{
    int own = spare_take(domain, spare);

    if (own < 0)
        return -1;
    int fd = real.fcntl(own, type & SOCK_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
    if (fd >= 0)
        *private_fd = own;
    else if (errno == EBADF)
        private_forget(own);
    else
        spare_give(domain, own, *spare);
    return fd;
}

/* In truth, whoever else is loaded beside us: socket_wrapper makes Unix sockets of TCP's, mptcpize MPTCP's, and both
 * answer getsockopt as if they had not.  So the kernel is asked, once a socket (a spare was asked before). */
static bool is_tcp(int fd)
{
    int protocol = 0;
    socklen_t len = sizeof protocol;
    long result = raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, (long)&protocol, (long)&len, 0);

    if (result == -ENOSYS) /* no raw calls on this machine, or an old i386 kernel */
        result = real.getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
    return result == 0 && protocol == IPPROTO_TCP;
}

/* One that is not tracked; but the number may still be known, of a socket that was closed past libc. */
static int other_socket(int fd)
{
    if (likely(fd < 0 || !conn_find(fd)) || !self_is_ours())
        return fd;
    int saved = errno;
    conn_number_is_new(fd);
    errno = saved;
    return fd;
}

static int tracked_socket(int domain, int type, int protocol)
{
    struct spare spare = { .cookie = 0 };
    int saved = errno, private_fd = -1;
    int fd = socket_from_spare(domain, type, &private_fd, &spare);

    if (fd < 0) {
        fd = real.socket(domain, type, protocol);
        if (fd >= 0 && !is_tcp(fd))
            return other_socket(fd);
    }
    if (fd < 0)
        return fd;
    struct conn *c = conn_create(fd, type & SOCK_CLOEXEC, private_fd >= 0 ? CONN_NEW_UNREADY : CONN_NEW);
    if (c) {
        c->nonblocking = type & SOCK_NONBLOCK;
        c->fds.private_fd = private_fd;
        c->opening.spare = spare;
        c->to.family = (uint16_t)domain;
        identity_sign(&c->to, fd);
    } else if (private_fd >= 0) { /* it may be non-blocking, or not */
        private_close(private_fd);
        real.close(fd);
        fd = real.socket(domain, type, protocol);
    }
    if (fd >= 0)
        errno = saved;
    return fd;
}

/* socket(2) is no cancellation point, but some of what it does here would be one. */
static int uncancelled_socket(int domain, int type, int protocol)
{
    int state = cancel_forbid();
    int fd = tracked_socket(domain, type, protocol);
    cancel_allow(state);
    return fd;
}

/* The program's numbers come first: where a program with threads found none, idle connections that lie below its limit
 * (private.h) go.  Is there any use in a second attempt?  errno is left alone. */
static bool has_made_room(int fd)
{
    if (fd >= 0 || errno != EMFILE || self_alone() || !self.active || !self_is_ours())
        return false;
    int saved = errno;
    unsigned before = pool_count();
    if (before) {
        shared_give_all();
        pool_shed(before);
    }
    errno = saved;
    return pool_count() < before;
}

int socket(int domain, int type, int protocol)
{
    bool tcp = (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM &&
               (protocol == 0 || protocol == IPPROTO_TCP);

    if ((domain != AF_INET && domain != AF_INET6) || !tcp || !self.tracks || !self_is_ours())
        return other_socket(real.socket(domain, type, protocol));
    int fd = uncancelled_socket(domain, type, protocol);
    if (has_made_room(fd))
        fd = uncancelled_socket(domain, type, protocol);
    return fd;
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    int result = real.socketpair(domain, type, protocol, fds);

    for (int i = 0; i < 2 && result == 0; i++)
        other_socket(fds[i]);
    return result;
}

int accept(int fd, struct sockaddr *from, socklen_t *len)
{
    int its = real.accept(fd, from, len);

    return other_socket(has_made_room(its) ? real.accept(fd, from, len) : its);
}

int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    int its = real.accept4(fd, from, len, flags);

    return other_socket(has_made_room(its) ? real.accept4(fd, from, len, flags) : its);
}

/* The real connect, without the lock.  `first`: c was NEW, and to somewhere. */
static int connect_really(struct conn *c, int fd, const struct sockaddr *to, socklen_t len, bool first)
{
    if (conn_is_new(c))
        parking_touch(c);
    if (c->fds.count == 0) {
        conn_leave(c);
        return real.connect(fd, to, len);
    }
    if (first)
        connecting_fresh(c);
    const struct endpoint place = c->to;
    bool again = first && !c->nonblocking;
    bool connected = c->state == CONN_FRESH && !first && !c->opening.connect_pending &&
                     c->request.by_send != BY_SEND_CLIENTS_OWN && !connecting_is_nowhere(to, len);
    conn_outside_begin(c);
    int result = real.connect(fd, to, len);
    if (again && result != 0 && errno == ECONNREFUSED)
        result = refused_again(&place, false, fd, to, len);
    if (connected && (result == 0 || errno == EALREADY)) { /* the outcome of a connect that was not the client's (fresh.h) */
        result = -1;
        errno = EISCONN;
    }
    int error = errno;
    conn_outside_end(c);
    if (result != 0 && error == ECONNREFUSED)
        refused_forget(&place);
    if (first)
        connecting_begun(c, result == 0 ? 0 : error);
    else
        connecting_asked(c, to, len, result == 0 ? 0 : error);
    conn_leave(c);
    errno = error;
    return result;
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    struct conn *c;
    enum hook_entry entry = hook_enter(fd, NEED_AS_IS | CANCELLATION_POINT, &c);

    if (entry != ENTERED)
        return entry == OURS ? (int)hook_result(-EBADF) : real.connect(fd, to, len);
    bool first = conn_is_new(c) && !connecting_is_nowhere(to, len);
    int result = first ? connecting_lease(c, to, len) : reconnect_again(c, fd, to, len);

    if (first && result == 0 && c->nonblocking) {
        c->opening.connect_pending = true; /* the answer that a non-blocking connect is used to */
        result = -EINPROGRESS;
    }
    if (result == CONN_PLAIN)
        return connect_really(c, fd, to, len, first);
    conn_leave(c);
    return (int)hook_result(result);
}

/* Port 0 is only an address of its own; a port that the program chose must not be shared. */
static void tracked_bind(struct conn *c, const struct sockaddr *to, socklen_t len)
{
    uint16_t port = 0;

    if (to->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
        port = ((const struct sockaddr_in *)to)->sin_port;
    else if (to->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
        port = ((const struct sockaddr_in6 *)to)->sin6_port;
    if (!conn_is_new(c) || port || len > sizeof(struct sockaddr_storage)) {
        conn_bypass(c, port ? REASON_bound_port : REASON_odd_descriptor);
        return;
    }
    c->options.bound = true;
    c->options.bound_len = len < sizeof c->options.bound_to ? len : sizeof c->options.bound_to;
    memcpy(&c->options.bound_to, to, c->options.bound_len);
}

/* Before something is done to what may be an unready spare; whatever comes of it, it is none any more. */
static void touch(int fd)
{
    const struct conn *found = conn_find(fd);
    struct conn *c;

    if (found && conn_is_new(found) && hook_enter(fd, NEED_ALL, &c) == ENTERED)
        conn_leave(c);
}

/* What a socket that is bound to nothing says of this address. */
static int bind_another(int family, const struct sockaddr *to, socklen_t len)
{
    int fd = real.socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    int result = real.bind(fd, to, len) == 0 ? 0 : -errno;
    real.close(fd);
    return result;
}

/* Where both sides have ended, what lies under the number was never connected, and others share it (fds/eof.h): the kernel
 * would really bind it, or have it listen.  CONN_PLAIN or the answer: such a connection has no port any more, and can be given
 * one.  `to`: NULL of listen. */
static int answer_ended(int fd, const struct sockaddr *to, socklen_t len)
{
    const struct conn *found = conn_find(fd);
    struct conn *c;
    int result = CONN_PLAIN;

    if (!found || !(conn_has_ended(found) || found->after.end_asked) || hook_enter(fd, NEED_AS_IS, &c) != ENTERED)
        return CONN_PLAIN;
    if (c->after.end_asked && !c->after.write_shut && !c->after.write_ended) /* only the library has ended this side */
        result = -EINVAL;
    else if (conn_has_ended(c) && !c->after.own_end && (c->after.write_shut || c->after.reset != RESET_NOT)) {
        result = !to || c->after.bound ? -EINVAL : bind_another(c->to.family, to, len);
        c->after.bound |= result == 0;
    }
    conn_leave(c);
    return result;
}

int bind(int fd, const struct sockaddr *to, socklen_t len)
{
    struct conn *c;

    if (likely(!conn_find(fd)))
        return real.bind(fd, to, len);
    if (hook_hides(fd))
        return (int)hook_result(-EBADF);
    if (!to) /* EFAULT */
        return real.bind(fd, to, len);
    int result = answer_ended(fd, to, len);
    if (result != CONN_PLAIN)
        return (int)hook_result(result);
    touch(fd);
    result = real.bind(fd, to, len);
    if (result < 0 || hook_enter(fd, NEED_ALL, &c) != ENTERED)
        return result;
    tracked_bind(c, to, len);
    conn_leave(c);
    return result;
}

int listen(int fd, int backlog)
{
    struct conn *c;

    if (hook_hides(fd))
        return (int)hook_result(-EBADF);
    int result = answer_ended(fd, NULL, 0);
    if (result != CONN_PLAIN)
        return (int)hook_result(result);
    touch(fd);
    result = real.listen(fd, backlog);
    if (result == 0 && self.active && self_is_ours())
        listeners_note(fd);
    if (result != 0 || hook_enter(fd, NEED_ALL, &c) != ENTERED)
        return result;
    conn_bypass(c, REASON_none);
    conn_leave(c);
    return result;
}
