/* socket, connect, bind, listen: where conns begin, and where idle connections are lent. */
#include "preload/hook.h"

#include "preload/cancel.h"
#include "preload/connecting.h"
#include "preload/identity.h"
#include "preload/private.h"
#include "preload/process.h"
#include "preload/spare.h"
#include "preload/swap.h"
#include "preload/tracing.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
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

static int tracked_socket(int domain, int type, int protocol)
{
    struct spare spare = { .unsettled = false };
    int saved = errno, private_fd = -1;
    int fd = socket_from_spare(domain, type, &private_fd, &spare);

    if (fd < 0)
        fd = real.socket(domain, type, protocol);
    if (fd < 0)
        return fd;
    struct conn *c = conn_create(fd, type & SOCK_CLOEXEC);
    if (c) {
        c->nonblocking = type & SOCK_NONBLOCK;
        c->private_fd = private_fd;
        c->spare = spare;
        c->to.family = (uint16_t)domain;
        identity_sign(&c->to);
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

int socket(int domain, int type, int protocol)
{
    bool tcp = (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM &&
               (protocol == 0 || protocol == IPPROTO_TCP);

    if ((domain != AF_INET && domain != AF_INET6) || !tcp || !process_active || !process_is_ours())
        return real.socket(domain, type, protocol);
    return uncancelled_socket(domain, type, protocol);
}

/* The real connect, without the lock. */
static int connect_really(struct conn *c, int fd, const struct sockaddr *to, socklen_t len)
{
    if (c->nfds == 0) {
        conn_leave(c);
        return real.connect(fd, to, len);
    }
    bool first = c->state == CONN_NEW && to->sa_family != AF_UNSPEC;
    spare_settle(c);
    if (first)
        connecting_fresh(c);
    conn_outside_begin(c);
    int result = real.connect(fd, to, len);
    int error = errno;
    conn_outside_end(c);
    bool begun = result == 0 || error == EINPROGRESS || error == EINTR;
    if (first)
        tracing_note(c, TRACE_open);
    if (first && !begun) {
        tracing_note(c, TRACE_fail);
        if (c->state == CONN_FRESH)
            conn_set_state(c, CONN_NEW);
    }
    conn_leave(c);
    errno = error;
    return result;
}

static int tracked_connect(struct conn *c, int fd, const struct sockaddr *to, socklen_t len)
{
    int result = CONN_PLAIN;

    if (c->state == CONN_NEW) {
        result = connecting_lease(c, to, len);
        if (result == 0 && c->nonblocking) {
            c->connect_pending = true; /* the answer that a non-blocking connect is used to */
            result = -EINPROGRESS;
        }
    } else if (c->connect_pending) {
        c->connect_pending = false;
        result = 0;
    } else if (c->state == CONN_ENDED) {
        result = -EISCONN;
    }
    if (result == CONN_PLAIN)
        return connect_really(c, fd, to, len);
    conn_leave(c);
    return (int)hook_result(result);
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    struct conn *c = conn_find(fd);

    if (likely(!c))
        return real.connect(fd, to, len);
    if (hook_hides(c))
        return (int)hook_result(-EBADF);
    if (!process_is_ours())
        return real.connect(fd, to, len);
    pthread_testcancel();
    if (!(c = conn_enter_as_is(fd)))
        return real.connect(fd, to, len);
    return tracked_connect(c, fd, to, len);
}

/* Port 0 is only an address of its own; a port that the program chose must not be shared. */
static void tracked_bind(struct conn *c, const struct sockaddr *to, socklen_t len)
{
    uint16_t port = 0;

    private_close(c->private_fd);
    c->private_fd = -1;
    if (to->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
        port = ((const struct sockaddr_in *)to)->sin_port;
    else if (to->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
        port = ((const struct sockaddr_in6 *)to)->sin6_port;
    if (c->state != CONN_NEW || port || len > sizeof(struct sockaddr_storage)) {
        conn_forget(c, port ? REASON_bound_port : REASON_odd_descriptor);
        return;
    }
    c->options.bound = true;
    c->options.bound_len = len < sizeof c->options.bound_to ? len : sizeof c->options.bound_to;
    memcpy(&c->options.bound_to, to, c->options.bound_len);
}

/* Before something is done to what may be an unsettled spare. */
static void settle(struct conn *c, int fd)
{
    if (c && c->spare.unsettled && process_is_ours() && (c = conn_enter(fd)))
        conn_leave(c);
}

int bind(int fd, const struct sockaddr *to, socklen_t len)
{
    struct conn *c = conn_find(fd);

    if (hook_hides(c))
        return (int)hook_result(-EBADF);
    settle(c, fd);
    int result = real.bind(fd, to, len);
    if (likely(!c) || result < 0 || !process_is_ours() || !(c = conn_enter(fd)))
        return result;
    tracked_bind(c, to, len);
    conn_leave(c);
    return result;
}

int listen(int fd, int backlog)
{
    struct conn *c = conn_find(fd);

    if (hook_hides(c))
        return (int)hook_result(-EBADF);
    settle(c, fd);
    int result = real.listen(fd, backlog);
    if (likely(!c) || result != 0 || !process_is_ours() || !(c = conn_enter(fd)))
        return result;
    conn_forget(c, REASON_none);
    conn_leave(c);
    return result;
}
