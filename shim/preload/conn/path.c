/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/path.h"

#include "preload/libc/real.h"
#include "preload/fds/tcpinfo.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum {
    LEAST_MS = 100,  /* with the kernel's 200: 300 ms after the request was sent, most often */
    RTT_TIMES = 2,   /* with the kernel's own one: three times the smoothed RTT */
};

static bool has_own(const struct conn *c)
{
    unsigned value;
    socklen_t len = sizeof value;

    return c->options.count && options_recall(&c->options, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &len);
}

static unsigned patience_ms(int fd)
{
    struct tcpinfo info;

    tcpinfo_read(fd, &info);
    unsigned ms = info.rtt_us / 1000 * RTT_TIMES;
    return ms > LEAST_MS ? ms : LEAST_MS;
}

void path_guard(struct conn *c)
{
    if (c->idle.guarded || has_own(c))
        return;
    int saved = errno;
    unsigned ms = patience_ms(c->idle.fd);
    c->idle.guarded = real.setsockopt(c->idle.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms) == 0;
    errno = saved;
}

void path_adopted(struct conn *c)
{
    c->idle.guarded = !has_own(c);
}

void path_unguard_now(struct conn *c)
{
    const unsigned none = 0;
    int saved = errno, fd = c->fds.private_fd >= 0 ? c->fds.private_fd : c->fds.count ? c->fds.numbers[0].fd : -1;

    c->idle.guarded = false;
    if (fd >= 0)
        real.setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &none, sizeof none);
    errno = saved;
}

static bool keeps_alive(const struct conn *c)
{
    int on = 0;
    socklen_t len = sizeof on;

    return c->options.count && options_recall(&c->options, SOL_SOCKET, SO_KEEPALIVE, &on, &len) && on;
}

void path_answered(struct conn *c, bool whole)
{
    if (c->idle.guarded && !whole && (!exchange_request_done(&c->x) || keeps_alive(c)))
        path_unguard_now(c);
}

bool path_is_broken(const struct conn *c, int error)
{
    struct tcpinfo info;

    switch (error) {
    case EACCES:
    case ECONNREFUSED:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENONET:
    case ENOPROTOOPT:
    case EPROTO:
        return c->reused && c->fds.count && tcpinfo_read(c->fds.numbers[0].fd, &info) && info.state == TCPINFO_CLOSED;
    default:
        return false;
    }
}
