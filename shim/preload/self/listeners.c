/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/self/listeners.h"

#include "preload/libc/real.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

enum { PORTS = 65536, WORD = 32 };

static struct {
    _Atomic uint32_t ports[PORTS / WORD];
    atomic_bool any; /* most programs listen on nothing */
} our;

void listeners_note(int fd)
{
    union endpoint_name name;
    socklen_t len = sizeof name;
    int saved = errno;
    bool known = real.getsockname(fd, &name.any, &len) == 0;
    uint16_t port = 0;

    errno = saved;
    if (known && name.any.sa_family == AF_INET)
        port = ntohs(name.in.sin_port);
    else if (known && name.any.sa_family == AF_INET6)
        port = ntohs(name.in6.sin6_port);
    if (!port)
        return;
    atomic_fetch_or(&our.ports[port / WORD], UINT32_C(1) << port % WORD);
    atomic_store(&our.any, true);
}

static bool is_loopback(const struct endpoint *to)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, one[16] = { [15] = 1 };

    if (to->family == AF_INET)
        return to->address[0] == IN_LOOPBACKNET;
    if (memcmp(to->address, mapped, sizeof mapped) == 0)
        return to->address[sizeof mapped] == IN_LOOPBACKNET;
    return memcmp(to->address, one, sizeof one) == 0;
}

bool listeners_has(const struct endpoint *to)
{
    uint16_t port = ntohs(to->port);

    return atomic_load(&our.any) && atomic_load(&our.ports[port / WORD]) & UINT32_C(1) << port % WORD && is_loopback(to);
}
