/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/name.h"

#include "base/block.h"
#include "preload/conn/swap.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

enum { NAME_MS = 200 };

/* Has a name in c's network namespace this IPv4 address?  In doubt, yes. */
static bool is_ours(int fd, const struct in_addr *address)
{
    const int room = 64 * (int)sizeof(struct ifreq);
    struct ifreq *found = block_get((size_t)room, NULL);
    struct ifconf all = { .ifc_len = room, .ifc_req = found };
    bool ours = !found || real.ioctl(fd, SIOCGIFCONF, &all) != 0 || all.ifc_len >= room;

    for (size_t i = 0; !ours && i < (size_t)all.ifc_len / sizeof *found; i++)
        ours = memcmp(&((const struct sockaddr_in *)(const void *)&found[i].ifr_addr)->sin_addr, address, sizeof *address) == 0;
    block_put(found, (size_t)room);
    return ours;
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

void name_check(struct conn *c)
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
