/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/fds/spare.h"

#include "preload/self/identity.h"
#include "preload/fds/private.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/fds/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define NONE UINT64_MAX

enum { SLOTS = 64 }; /* of each family: so many threads may be between their socket and their connect */

/* The cookie, and fd * 2 + nonblocking; or NONE. */
static _Atomic uint64_t slots[2][SLOTS] = { [0 ... 1] = { [0 ... SLOTS - 1] = NONE } };

static int most = 1;

void spare_start(unsigned limit)
{
    unsigned share = limit / 16;

    most = share < 1 ? 1 : share < SLOTS ? (int)share : SLOTS;
}

static _Atomic uint64_t *slots_of(int family)
{
    return slots[family == AF_INET6];
}

static int number(uint64_t value)
{
    return (int)((uint32_t)value / 2);
}

/* False: the program has closed it where we did not see it, and the number may be another one's. */
static bool is_there(int fd, uint32_t cookie)
{
    return (uint32_t)socket_cookie(fd) == cookie;
}

int spare_take(int family, struct spare *spare)
{
    _Atomic uint64_t *all = slots_of(family);
    uint64_t value = NONE;

    if (identity_changes && !self_alone()) /* another thread may be somebody else, or elsewhere */
        return -1;
    for (int i = 0; i < most && value == NONE; i++)
        if (atomic_load_explicit(&all[i], memory_order_relaxed) != NONE)
            value = atomic_exchange(&all[i], NONE);
    if (value == NONE || !private_is(number(value)))
        return -1;
    *spare = (struct spare){ .nonblocking = value & 1, .cookie = (uint32_t)(value >> 32) };
    return number(value);
}

void spare_give(int family, int fd, struct spare spare)
{
    _Atomic uint64_t *all = slots_of(family);

    if (fd < 0)
        return;
    if (identity_changes && !self_alone()) {
        private_close(fd);
        return;
    }
    if (!spare.cookie)
        spare.cookie = (uint32_t)socket_cookie(fd);
    uint64_t value = (uint64_t)spare.cookie << 32 | (uint32_t)(fd * 2 + spare.nonblocking);
    for (int i = 0; i < most; i++) {
        uint64_t none = NONE;
        if (atomic_compare_exchange_strong(&all[i], &none, value))
            return;
    }
    private_close(fd);
}

void spare_abandon(void)
{
    for (int i = 0; i < 2 * SLOTS; i++) {
        uint64_t value = atomic_exchange(&slots[i / SLOTS][i % SLOTS], NONE);
        if (value != NONE && private_is(number(value)) && is_there(number(value), (uint32_t)(value >> 32)))
            private_close(number(value));
    }
}
