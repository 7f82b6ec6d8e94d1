/* SPDX-License-Identifier: ISC */
/* pool: what is kept, what is found again, what is let go and why. */
#include "fake.h"

#include <errno.h>
#include <stdlib.h>

static void test_empty(void **state)
{
    fake_start(64, 1000);
    assert_int_equal(pool_count(), 0);
    assert_int_equal(fake_lease(1), -REASON_pool_empty);
    fake_sweep();
    assert_int_equal(pool_shed(5), 0);
    assert_int_equal(fake_park(1, 7), REASON_none);
    assert_int_equal(fake_lease(2), -REASON_pool_empty);
    assert_int_equal(pool_count(), 1);
    assert_int_equal(fake_discarded, 0);
}

static void test_newest_first(void **state)
{
    fake_start(64, 1000);
    for (int fd = 10; fd < 20; fd++)
        assert_int_equal(fake_park((unsigned)fd % 2, fd), REASON_none);
    assert_int_equal(fake_lease(0), 18);
    assert_int_equal(fake_lease(0), 16);
    assert_int_equal(fake_lease(1), 19);
    assert_int_equal(fake_park(0, 18), REASON_none);
    assert_int_equal(fake_lease(0), 18);
    assert_int_equal(fake_lease(0), 14);
    assert_int_equal(pool_count(), 6);
    assert_int_equal(fake_discarded, 0);
    assert_int_equal(fake_probes, 5);
}

/* All of a value comes back, with the time of parking. */
static void test_value(void **state)
{
    struct endpoint to = fake_endpoint(1);
    struct wanted any = { .any = true };
    struct idle in, out;
    enum reason why;

    memset(&in, 0x5a, sizeof(in));
    in.fd = 5;
    in.nonblocking = true;
    in.absolute = in.unseen = false;
    in.proven = true;
    in.max_left = 3;
    fake_start(64, 1000);
    assert_int_equal(pool_park(&to, &in), REASON_none);
    in.parked_ms = fake_now;
    fake_now += 100;
    assert_int_equal(pool_lease(&to, &any, &out, &why), 0);
    assert_memory_equal(&out, &in, sizeof(in));
}

/* Only the caller can know whether it will look before it sends. */
static void test_a_moment(void **state)
{
    struct endpoint to = fake_endpoint(1);
    struct wanted any = { .any = true }, exact = { .host = 7 };
    struct idle in = { .fd = 5, .proven = true, .max_left = -1, .idle_ms = 1000, .host = 7 }, out;
    enum reason why;

    fake_start(64, 1000);
    for (int passed = 0; passed < 4; passed++) {
        pool_park(&to, &in);
        fake_now += (unsigned)passed;
        assert_int_equal(pool_lease(&to, &any, &out, &why), 0);
        assert_int_equal(out.unseen, passed < 2);
    }
    pool_park(&to, &in);
    assert_int_equal(pool_lease(&to, &exact, &out, &why), 0);
    assert_false(out.unseen);
    in.proven = false;
    pool_park(&to, &in);
    assert_int_equal(pool_lease(&to, &any, &out, &why), 0);
    assert_false(out.unseen);
}

static void test_cap_of_endpoint(void **state)
{
    fake_start(3, 1000);
    for (int fd = 0; fd < 5; fd++) {
        assert_int_equal(fake_park(1, fd), REASON_none);
        assert_int_equal(fake_park(2, 100 + fd), REASON_none);
    }
    assert_int_equal(pool_count(), 6);
    assert_int_equal(fake_discarded, 4);
    assert_discard(0, 0, REASON_pool_full);
    assert_discard(1, 100, REASON_pool_full);
    assert_discard(2, 1, REASON_pool_full);
    assert_discard(3, 101, REASON_pool_full);
    assert_int_equal(fake_lease(1), 4);
    assert_int_equal(fake_lease(1), 3);
    assert_int_equal(fake_lease(1), 2);
    assert_int_equal(fake_lease(1), -REASON_pool_empty);
}

static void test_cap_of_all(void **state)
{
    fake_start(64, 4);
    for (int fd = 0; fd < 6; fd++)
        assert_int_equal(fake_park((unsigned)fd, fd), REASON_none);
    assert_int_equal(pool_count(), 4);
    assert_discard(0, 0, REASON_pool_full);
    assert_discard(1, 1, REASON_pool_full);
    assert_int_equal(fake_lease(0), -REASON_pool_empty);
    assert_int_equal(fake_lease(2), 2);
}

static void test_cap_of_nothing(void **state)
{
    fake_start(0, 1000);
    assert_int_equal(fake_park(1, 7), REASON_pool_full);
    assert_int_equal(fake_discarded, 1);
    fake_start(64, 0);
    assert_int_equal(fake_park(1, 7), REASON_pool_full);
    assert_int_equal(fake_discarded, 1);
    assert_discard(0, 7, REASON_pool_full);
    assert_int_equal(pool_count(), 0);
}

static void test_spent(void **state)
{
    struct endpoint to = fake_endpoint(1);
    struct idle spent = fake_idle(7), hurried = fake_idle(8), last = fake_idle(9);

    fake_start(64, 1000);
    spent.max_left = 0;
    hurried.idle_ms = 0;
    last.max_left = 1;
    assert_int_equal(pool_park(&to, &spent), REASON_keepalive_spent);
    assert_int_equal(pool_park(&to, &hurried), REASON_keepalive_spent);
    assert_int_equal(pool_park(&to, &last), REASON_none);
    assert_int_equal(fake_discarded, 2);
    assert_discard(0, 7, REASON_keepalive_spent);
    assert_discard(1, 8, REASON_keepalive_spent);
    assert_int_equal(fake_lease(1), 9);
}

/* What the settings allow, of a connection that comes from elsewhere, too. */
static void test_limits_of_use(void **state)
{
    struct endpoint to = fake_endpoint(1);
    struct wanted any = { .any = true };
    struct idle idle = fake_idle(5), out;
    enum reason why;

    fake_start(64, 1000);
    pool_limit_use(3, 60000);
    idle.opened_ms = idle.parked_ms = fake_now;
    idle.requests = 2;
    assert_int_equal(pool_refusal(&to, &idle), REASON_none);
    assert_int_equal(pool_examine(&to, &idle), REASON_none);
    assert_int_equal(pool_park(&to, &idle), REASON_none);
    assert_int_equal(pool_lease(&to, &any, &out, &why), 0);
    idle.requests = 3;
    assert_int_equal(pool_refusal(&to, &idle), REASON_max_requests);
    assert_int_equal(pool_examine(&to, &idle), REASON_max_requests);
    assert_int_equal(pool_park(&to, &idle), REASON_max_requests);
    assert_discard(0, 5, REASON_max_requests);

    idle.requests = 2;
    fake_now += 59999;
    assert_int_equal(pool_park(&to, &idle), REASON_none);
    fake_now += 1;
    assert_int_equal(pool_refusal(&to, &idle), REASON_max_age);
    assert_int_equal(pool_lease(&to, &any, &out, &why), -ENOENT);
    assert_int_equal(why, REASON_max_age);
    assert_discard(1, 5, REASON_max_age);
    assert_int_equal(pool_park(&to, &idle), REASON_max_age);
    assert_discard(2, 5, REASON_max_age);
    assert_int_equal(pool_count(), 0);

    pool_limit_use(0, 0);
    idle.requests = UINT16_MAX;
    fake_now += 86400000;
    assert_int_equal(pool_park(&to, &idle), REASON_none);
    assert_int_equal(pool_examine(&to, &idle), REASON_expired);
}

static void test_expiry(void **state)
{
    fake_start(64, 1000);
    fake_park(1, 7);
    fake_now += 14999;
    assert_int_equal(fake_lease(1), 7);
    fake_park(1, 7);
    fake_now += 15000;
    assert_int_equal(fake_lease(1), -REASON_expired);
    assert_discard(0, 7, REASON_expired);
    assert_int_equal(fake_probes, 1); /* an expired one is not even looked at */
    /* A clock that goes back makes nothing old. */
    fake_park(1, 8);
    fake_now -= 100000;
    assert_int_equal(fake_lease(1), 8);
}

static void test_own_idle_time(void **state)
{
    struct endpoint to = fake_endpoint(1);
    struct idle brief = fake_idle(7);

    fake_start(64, 1000);
    brief.idle_ms = 4000;
    fake_park(1, 6);
    pool_park(&to, &brief);
    fake_now += 4000;
    assert_int_equal(fake_lease(1), 6); /* behind the expired one */
    assert_discard(0, 7, REASON_expired);
}

/* What nobody asks for goes as well, while others come and go; also behind one that may stay long. */
static void test_expiry_in_passing(void **state)
{
    struct endpoint to = fake_endpoint(5);
    struct idle patient = fake_idle(1);

    fake_start(64, 1000);
    patient.idle_ms = 10000000;
    pool_park(&to, &patient);
    for (int fd = 10; fd < 60; fd++)
        fake_park((unsigned)fd, fd);
    fake_now += 15000;
    for (int i = 0; i < 60; i++) {
        fake_park(9999, 2000);
        assert_int_equal(fake_lease(9999), 2000);
    }
    assert_int_equal(pool_count(), 1);
    assert_int_equal(fake_discarded, 50);
    assert_int_equal(fake_lease(5), 1);
}

static void test_sweep(void **state)
{
    struct idle patient = fake_idle(0);

    fake_start(1000, 100000);
    for (int fd = 0; fd < 3000; fd++) {
        struct endpoint to = fake_endpoint((unsigned)fd / 10);

        patient.fd = fd;
        patient.cookie = (uint64_t)fd * 3;
        patient.idle_ms = fd % 3 == 0 ? 60000 : 15000;
        pool_park(&to, &patient);
    }
    fake_sweep();
    assert_int_equal(pool_count(), 3000);
    fake_now += 15000;
    fake_sweep();
    assert_int_equal(pool_count(), 1000);
    assert_int_equal(fake_discarded, 2000);
    for (unsigned i = 0; i < fake_discarded; i++)
        assert_true(fake_discards[i].fd % 3 != 0 && fake_discards[i].why == REASON_expired);
    fake_now += 45000;
    fake_sweep();
    assert_int_equal(pool_count(), 0);
    assert_int_equal(fake_discarded, 3000);
}

static void test_wanted(void **state)
{
    struct endpoint to = fake_endpoint(1);
    struct idle idle = fake_idle(10);
    struct wanted wanted = { .host = 1 };

    fake_start(64, 1000);
    idle.host = 1;
    pool_park(&to, &idle);
    idle.fd = 11, idle.cookie = 33, idle.host = 2;
    pool_park(&to, &idle);
    idle.fd = 12, idle.cookie = 36, idle.absolute = true, idle.host = 1;
    pool_park(&to, &idle);
    idle.fd = 13, idle.cookie = 39, idle.proxy_auth = 9;
    pool_park(&to, &idle);

    assert_int_equal(fake_lease_wanted(1, &wanted), 10);
    assert_int_equal(fake_lease_wanted(1, &wanted), -REASON_other_form); /* the newest's difference */
    wanted.absolute = true;
    wanted.proxy_auth = 8;
    assert_int_equal(fake_lease_wanted(1, &wanted), -REASON_other_form);
    wanted.proxy_auth = 9;
    wanted.host = 2;
    wanted.any = false;
    assert_int_equal(fake_lease_wanted(1, &wanted), -REASON_other_host);
    wanted.host = 1;
    assert_int_equal(fake_lease_wanted(1, &wanted), 13);
    wanted.proxy_auth = 0;
    assert_int_equal(fake_lease_wanted(1, &wanted), 12);
    assert_int_equal(fake_lease_wanted(1, &wanted), -REASON_other_form);
    assert_int_equal(fake_lease(1), 11);
    assert_int_equal(fake_discarded, 0); /* what does not match stays */
    assert_int_equal(pool_count(), 0);
}

static void test_health(void **state)
{
    fake_start(64, 1000);
    for (int fd = 10; fd < 15; fd++)
        fake_park(1, fd);
    fake_now += 1000;
    fake_health[14] = POOL_STALE;
    fake_health[13] = POOL_POISONED;
    fake_health[12] = POOL_REPLACED;
    assert_int_equal(fake_lease(1), 11);
    assert_int_equal(fake_discarded, 3);
    assert_discard(0, 14, REASON_stale);
    assert_discard(1, 13, REASON_poisoned);
    assert_discard(2, 12, REASON_replaced);
    fake_health[10] = POOL_POISONED;
    assert_int_equal(fake_lease(1), -REASON_poisoned);
    assert_int_equal(fake_lease(1), -REASON_pool_empty);
    assert_int_equal(fake_park(1, 20), REASON_closer); /* bytes that nobody asked for are held against it */
    assert_int_equal(fake_park(2, 21), REASON_none);
    fake_health[21] = POOL_STALE;
    fake_now += 1000;
    assert_int_equal(fake_lease(2), -REASON_stale);
    assert_int_equal(fake_park(2, 22), REASON_none); /* a late close is not */
}

/* A dead one that matched says more than a live one that did not. */
static void test_health_and_wanted(void **state)
{
    struct endpoint to = fake_endpoint(1);
    struct idle other = fake_idle(10);
    struct wanted wanted = { .host = 0 };

    fake_start(64, 1000);
    other.host = 5;
    pool_park(&to, &other);
    fake_park(1, 11);
    fake_now += 1000;
    fake_health[11] = POOL_STALE;
    assert_int_equal(fake_lease_wanted(1, &wanted), -REASON_stale);
    assert_int_equal(fake_lease_wanted(1, &wanted), -REASON_other_host);
    assert_int_equal(fake_lease(1), 10);
}

static void test_closer(void **state)
{
    fake_start(64, 1000);
    fake_park(1, 10);
    fake_now += 500;
    fake_health[10] = POOL_STALE;
    assert_int_equal(fake_lease(1), -REASON_stale);
    assert_int_equal(fake_park(1, 11), REASON_closer);
    assert_discard(1, 11, REASON_closer);
    assert_int_equal(fake_park(2, 12), REASON_none); /* another endpoint */
    fake_now += 59999;
    assert_int_equal(fake_park(1, 13), REASON_closer);
    fake_now += 1;
    assert_int_equal(fake_park(1, 14), REASON_none);
    assert_int_equal(fake_lease(1), 14);
}

static void test_note_closed(void **state)
{
    struct endpoint one = fake_endpoint(1), two = fake_endpoint(2);

    fake_start(64, 1000);
    fake_park(2, 20);
    pool_note_closed(&one, 501);
    assert_int_equal(fake_park(1, 10), REASON_none);
    pool_note_closed(&one, 500);
    pool_note_closed(&two, 0);
    assert_int_equal(fake_park(1, 11), REASON_closer);
    assert_int_equal(fake_park(2, 21), REASON_closer);
    assert_int_equal(fake_lease(1), 10); /* what was there may be used */
    assert_int_equal(fake_lease(2), 20);
    fake_now += 30000;
    pool_note_closed(&one, 3); /* again: the minute begins anew, and the order of forgetting changes */
    fake_now += 30000;
    fake_sweep();
    assert_int_equal(fake_park(2, 22), REASON_none);
    assert_int_equal(fake_park(1, 12), REASON_closer);
    fake_now += 30000;
    assert_int_equal(fake_park(1, 13), REASON_none);
}

/* As many as there are servers in the world: the memory is bounded, and the latest are remembered. */
static void test_many_closers(void **state)
{
    fake_start(64, 1000);
    for (unsigned i = 0; i < 20000; i++) {
        struct endpoint to = fake_endpoint(i);

        pool_note_closed(&to, 1);
    }
    assert_int_equal(fake_park(19999, 10), REASON_closer);
    assert_int_equal(fake_park(4000, 11), REASON_closer);
    assert_int_equal(fake_park(0, 12), REASON_none);
}

static void test_shed(void **state)
{
    fake_start(64, 1000);
    for (int fd = 0; fd < 30; fd++)
        fake_park((unsigned)fd % 7, fd);
    assert_int_equal(pool_shed(0), 0);
    assert_int_equal(pool_shed(12), 12);
    for (unsigned i = 0; i < 12; i++)
        assert_discard(i, (int)i, REASON_no_private_fd);
    assert_int_equal(pool_count(), 18);
    assert_int_equal(pool_shed(100), 18);
    assert_int_equal(pool_count(), 0);
    assert_int_equal(fake_lease(3), -REASON_pool_empty);
    assert_int_equal(fake_park(3, 5), REASON_none);
    assert_int_equal(fake_lease(3), 5);
}

static bool abandoned[FAKE_FDS];

static void abandon(const struct idle *idle)
{
    assert_false(abandoned[idle->fd]);
    abandoned[idle->fd] = true;
}

static void test_abandon(void **state)
{
    struct endpoint closer = fake_endpoint(9999);

    fake_start(64, 10000);
    for (int fd = 0; fd < 2000; fd++)
        fake_park((unsigned)fd % 100, fd);
    pool_note_closed(&closer, 0);
    for (unsigned i = 0; i < 100; i += 2)
        assert_in_range(fake_lease(i), 0, 2000);
    pool_abandon(abandon);
    for (int fd = 0; fd < 2000; fd++)
        assert_int_equal(abandoned[fd], fd < 1900 || fd % 2 != 0); /* the newest of the even ones were leased */
    assert_int_equal(pool_count(), 0);
    assert_int_equal(fake_discarded, 0);
    assert_int_equal(fake_lease(1), -REASON_pool_empty);
    /* The memory serves again. */
    for (int round = 0; round < 3; round++) {
        for (int fd = 0; fd < 3000; fd++)
            assert_int_equal(fake_park((unsigned)fd % 500, fd), REASON_none);
        for (int fd = 2999; fd >= 0; fd--)
            assert_int_equal(fake_lease((unsigned)fd % 500), fd);
    }
}

static void test_ten_thousand_endpoints(void **state)
{
    fake_start(64, 40000);
    for (int fd = 0; fd < 30000; fd++)
        assert_int_equal(fake_park((unsigned)fd % 10000, fd), REASON_none);
    assert_int_equal(pool_count(), 30000);
    for (int fd = 29999; fd >= 0; fd--)
        assert_int_equal(fake_lease((unsigned)fd % 10000), fd);
    assert_int_equal(pool_count(), 0);
    for (unsigned i = 0; i < 10000; i += 97)
        assert_int_equal(fake_lease(i), -REASON_pool_empty);
    assert_int_equal(fake_discarded, 0);
}

/* A plain model beside it, and any order of calls: each connection is in one place only. */
static void test_any_order(void **state)
{
    static bool held[2000];
    unsigned seed = 12345, in_pool = 0, gone = 0;

    fake_start(8, 300);
    for (unsigned i = 0; i < 200000; i++) {
        int fd;

        seed = seed * 1103515245u + 12345u;
        fake_now += seed >> 8 & 3;
        fd = (int)(seed >> 12) % 2000;
        if (seed >> 30 == 0) {
            if (!held[fd]) {
                assert_int_equal(fake_park((unsigned)fd % 60, fd), REASON_none);
                held[fd] = true;
                in_pool++;
            }
        } else if (seed >> 30 == 1) {
            fd = fake_lease((unsigned)fd % 60);
            if (fd >= 0) {
                assert_true(held[fd]);
                held[fd] = false;
                in_pool--;
            }
        }
        for (; gone < fake_discarded; gone++, in_pool--) {
            assert_true(held[fake_discards[gone].fd]);
            held[fake_discards[gone].fd] = false;
        }
        if (gone > FAKE_FDS - 100)
            gone = fake_discarded = 0;
        assert_int_equal(pool_count(), in_pool);
    }
}

/* Whatever else makes sockets differ, they lead to one server. */
static void test_release_place(void **state)
{
    struct endpoint to = fake_endpoint(7), other = fake_endpoint(8), bound = to, six = { .family = AF_INET6 };

    (void)state;
    fake_start(64, 64);
    bound.options = 99;
    six.port = to.port;
    six.address[10] = six.address[11] = 0xff;
    memcpy(six.address + 12, to.address, 4);
    for (int i = 0; i < 30; i++) {
        struct idle idle = fake_idle(100 + i);
        assert_int_equal(pool_park(i % 3 == 0 ? &to : i % 3 == 1 ? &bound : &six, &idle), REASON_none);
    }
    struct idle stays = fake_idle(500);
    assert_int_equal(pool_park(&other, &stays), REASON_none);
    assert_int_equal(pool_release_place(&to), 30);
    assert_int_equal(fake_discarded, 30);
    assert_discard(0, 100, REASON_one_at_a_time);
    assert_discard(29, 129, REASON_one_at_a_time);
    assert_int_equal(pool_count(), 1);
    assert_int_equal(pool_release_place(&to), 0);
    assert_int_equal(fake_lease(8), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_newest_first),
        cmocka_unit_test(test_value),
        cmocka_unit_test(test_a_moment),
        cmocka_unit_test(test_cap_of_endpoint),
        cmocka_unit_test(test_cap_of_all),
        cmocka_unit_test(test_cap_of_nothing),
        cmocka_unit_test(test_spent),
        cmocka_unit_test(test_limits_of_use),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_own_idle_time),
        cmocka_unit_test(test_expiry_in_passing),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_health_and_wanted),
        cmocka_unit_test(test_closer),
        cmocka_unit_test(test_note_closed),
        cmocka_unit_test(test_many_closers),
        cmocka_unit_test(test_shed),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_ten_thousand_endpoints),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_release_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
