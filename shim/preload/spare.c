#define _GNU_SOURCE
#include "preload/spare.h"

#include "preload/idle.h"
#include "preload/private.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define NONE UINT64_MAX

/* The cookie, and fd * 2 + nonblocking; or NONE. */
static _Atomic uint64_t slots[2] = { NONE, NONE };

static _Atomic uint64_t *slot(int family)
{
    return &slots[family == AF_INET6];
}

static int number(uint64_t value)
{
    return (int)((uint32_t)value / 2);
}

/* False: the program has closed it where we did not see it, and the number may be another one's. */
static bool is_there(uint64_t value)
{
    return private_is(number(value)) && (uint32_t)idle_cookie(number(value)) == value >> 32;
}

int spare_take(int family, bool *nonblocking)
{
    uint64_t value = atomic_exchange(slot(family), NONE);

    if (value == NONE)
        return -1;
    errno = 0;
    if (!is_there(value)) {
        if (idle_unknown())
            private_close(number(value));
        return -1;
    }
    *nonblocking = value & 1;
    return number(value);
}

void spare_give(int family, int fd, bool nonblocking)
{
    uint64_t none = NONE;

    if (fd < 0)
        return;
    uint64_t value = idle_cookie(fd) << 32 | (uint32_t)(fd * 2 + nonblocking);
    if (!atomic_compare_exchange_strong(slot(family), &none, value))
        private_close(fd);
}

void spare_abandon(void)
{
    for (int i = 0; i < 2; i++) {
        uint64_t value = atomic_exchange(&slots[i], NONE);
        if (value != NONE && is_there(value))
            private_close(number(value));
    }
}
