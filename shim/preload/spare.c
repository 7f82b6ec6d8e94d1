#define _GNU_SOURCE
#include "preload/spare.h"

#include "preload/idle.h"
#include "preload/private.h"
#include "preload/real.h"

#include <errno.h>
#include <fcntl.h>
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
static bool is_there(int fd, uint32_t cookie)
{
    return (uint32_t)idle_cookie(fd) == cookie;
}

int spare_take(int family, struct spare *spare)
{
    uint64_t value = atomic_exchange(slot(family), NONE);

    if (value == NONE || !private_is(number(value)))
        return -1;
    *spare = (struct spare){ .unsettled = true, .nonblocking = value & 1, .cookie = (uint32_t)(value >> 32) };
    return number(value);
}

void spare_give(int family, int fd, struct spare spare)
{
    uint64_t none = NONE;

    if (fd < 0)
        return;
    if (!spare.cookie)
        spare.cookie = (uint32_t)idle_cookie(fd);
    uint64_t value = (uint64_t)spare.cookie << 32 | (uint32_t)(fd * 2 + spare.nonblocking);
    if (!atomic_compare_exchange_strong(slot(family), &none, value))
        private_close(fd);
}

/* What the program has put under the private number, where we did not see it, came under its own as well: a
 * fresh socket takes its place. */
static void replace(struct conn *c)
{
    int number = c->fds[0].fd;
    int fd = real.socket(c->to.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (private_is(c->private_fd))
        private_forget(c->private_fd);
    c->private_fd = -1;
    c->spare.nonblocking = false;
    if (fd < 0)
        return;
    real.dup3(fd, number, c->fds[0].cloexec ? O_CLOEXEC : 0);
    real.close(fd);
}

void spare_settle(struct conn *c)
{
    if (!c->spare.unsettled || c->nfds == 0)
        return;
    int saved = errno, fd = c->fds[0].fd;

    c->spare.unsettled = false;
    errno = 0;
    if (!is_there(fd, c->spare.cookie) && !idle_unknown())
        replace(c);
    if (c->spare.nonblocking != c->nonblocking &&
        real.fcntl(fd, F_SETFL, (void *)(intptr_t)(O_RDWR | (c->nonblocking ? O_NONBLOCK : 0))) == 0)
        c->spare.nonblocking = c->nonblocking;
    errno = saved;
}

void spare_abandon(void)
{
    for (int i = 0; i < 2; i++) {
        uint64_t value = atomic_exchange(&slots[i], NONE);
        if (value != NONE && private_is(number(value)) && is_there(number(value), (uint32_t)(value >> 32)))
            private_close(number(value));
    }
}
