#define _GNU_SOURCE
#include "preload/spare.h"

#include "preload/private.h"

#include <stdatomic.h>
#include <sys/socket.h>

/* fd * 2 + nonblocking, or -1. */
static atomic_int slots[2] = { -1, -1 };

static atomic_int *slot(int family)
{
    return &slots[family == AF_INET6];
}

int spare_take(int family, bool *nonblocking)
{
    int value = atomic_exchange(slot(family), -1);

    if (value < 0)
        return -1;
    if (!private_is(value / 2))
        return -1; /* the program has closed it where we did not see it */
    *nonblocking = value & 1;
    return value / 2;
}

void spare_give(int family, int fd, bool nonblocking)
{
    int none = -1;

    if (fd >= 0 && !atomic_compare_exchange_strong(slot(family), &none, fd * 2 + nonblocking))
        private_close(fd);
}

void spare_abandon(void)
{
    for (int i = 0; i < 2; i++) {
        int value = atomic_exchange(&slots[i], -1);
        if (value >= 0)
            private_close(value / 2);
    }
}
