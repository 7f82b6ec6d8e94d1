/* SPDX-License-Identifier: ISC */
/* The pool's tests' own world: a clock that is set, sockets that are numbers, and a record of what was
 * discarded and why. */
#ifndef HOLDFAST_TESTS_POOL_FAKE_H
#define HOLDFAST_TESTS_POOL_FAKE_H

#include "pool/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

#define FAKE_FDS 65536

static uint64_t fake_now;
static unsigned char fake_health[FAKE_FDS]; /* enum pool_health */
static unsigned fake_probes;
static struct {
    int fd;
    enum reason why;
} fake_discards[FAKE_FDS];
static unsigned fake_discarded;

static uint64_t fake_clock(void)
{
    return fake_now;
}

static enum pool_health fake_probe(const struct idle *idle)
{
    fake_probes++;
    return (enum pool_health)fake_health[idle->fd];
}

static void fake_discard(const struct idle *idle, enum reason why)
{
    assert_in_range(fake_discarded, 0, FAKE_FDS - 1);
    fake_discards[fake_discarded].fd = idle->fd;
    fake_discards[fake_discarded].why = why;
    fake_discarded++;
}

static const struct pool_ops fake_ops = { fake_probe, fake_discard, fake_clock };

static inline void fake_start(unsigned per_endpoint, unsigned total)
{
    fake_now = 1000000;
    memset(fake_health, POOL_ALIVE, sizeof(fake_health));
    fake_probes = fake_discarded = 0;
    assert_int_equal(pool_init(&fake_ops, per_endpoint, total), 0);
}

static inline struct endpoint fake_endpoint(unsigned number)
{
    struct endpoint e = { .family = 2, .port = (uint16_t)(number & 0xff) };

    e.address[0] = 10;
    e.address[1] = (uint8_t)(number >> 24);
    e.address[2] = (uint8_t)(number >> 16);
    e.address[3] = (uint8_t)(number >> 8);
    return e;
}

static inline struct idle fake_idle(int fd)
{
    struct idle idle = { .fd = fd, .max_left = -1, .idle_ms = 15000, .cookie = (uint64_t)fd * 3 };

    return idle;
}

static inline enum reason fake_park(unsigned endpoint, int fd)
{
    struct endpoint to = fake_endpoint(endpoint);
    struct idle idle = fake_idle(fd);

    return pool_park(&to, &idle);
}

/* The fd, or minus the reason. */
static inline int fake_lease_wanted(unsigned endpoint, const struct wanted *wanted)
{
    struct endpoint to = fake_endpoint(endpoint);
    enum reason why = REASON_none;
    struct idle out;

    if (pool_lease(&to, wanted, &out, &why) == 0) {
        assert_int_equal(out.cookie, (uint64_t)out.fd * 3);
        return out.fd;
    }
    assert_int_not_equal(why, REASON_none);
    return -(int)why;
}

static inline int fake_lease(unsigned endpoint)
{
    struct wanted any = { .any = true };

    return fake_lease_wanted(endpoint, &any);
}

/* Each lease discards a few of what has expired: these discard all of it. */
static inline void fake_sweep(void)
{
    for (unsigned n = pool_count() + 1; n > 0; n--)
        assert_true(fake_lease(~0u) < 0);
}

/* The n-th discard since fake_start. */
static inline void assert_discard(unsigned n, int fd, enum reason why)
{
    assert_in_range(n, 0, fake_discarded - 1);
    assert_int_equal(fake_discards[n].fd, fd);
    assert_int_equal(fake_discards[n].why, why);
}

#endif
