#define _GNU_SOURCE
#include "preload/share/path.h"

#include "preload/wire/outgoing.h"
#include "preload/libc/real.h"
#include "preload/conn/swap.h"
#include "preload/fds/tcpinfo.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    LEAST_MS = 100,  /* with the kernel's 200: 300 ms after the request was sent, most often */
    NAME_MS = 200,
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

void path_sending_guarded(struct conn *c)
{
    if (conn_is_asked(c) && !outgoing_may_replay(c))
        path_unguard_now(c);
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

/* Has a name in c's network namespace this IPv4 address?  In doubt, yes. */
static bool is_ours(int fd, const struct in_addr *address)
{
    enum { MOST = 64 };
    struct ifreq found[MOST] = { 0 };
    struct ifconf all = { .ifc_len = sizeof found, .ifc_req = found };

    if (real.ioctl(fd, SIOCGIFCONF, &all) != 0 || all.ifc_len >= (int)sizeof found)
        return true;
    for (size_t i = 0; i < (size_t)all.ifc_len / sizeof *found; i++)
        if (memcmp(&((const struct sockaddr_in *)(const void *)&found[i].ifr_addr)->sin_addr, address, sizeof *address) == 0)
            return true;
    return false;
}

/* Its IPv4 address, or NULL. */
static const struct in_addr *inet(const union endpoint_name *name)
{
    if (name->any.sa_family == AF_INET)
        return &name->in.sin_addr;
    if (name->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&name->in6.sin6_addr))
        return (const struct in_addr *)(const void *)&name->in6.sin6_addr.s6_addr[12];
    return NULL;
}

void path_check_name(struct conn *c)
{
    const struct in_addr *address = inet(&c->idle.local);
    int saved = errno;

    if (!address || *(const unsigned char *)address == IN_LOOPBACKNET || c->copied || c->use.inside ||
        c->fds.count == 0 || is_ours(c->fds.numbers[0].fd, address)) {
        errno = saved;
        return;
    }
    conn_note(c, REASON_address_lost);
    if (!c->nonblocking) {
        swap_rehome(c, false);
    } else if (swap_rehome_at_once(c) == 0 && c->fds.count) {
        struct pollfd wait = { .fd = c->fds.numbers[0].fd, .events = POLLOUT };
        real.poll(&wait, 1, NAME_MS);
    }
    errno = saved;
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
