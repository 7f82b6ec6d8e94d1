/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Idle connections: what a look at one says, how one is closed, and what is left alone because it is not ours any more. */
#include "unit/preload/fake_kernel.h"

#include "preload/fds/private.h"
#include "preload/fds/socket.h"

static int setup(void **state)
{
    (void)state;
    fake_reset();
    self.forked = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int fd = FAKE_FIRST; fd < FAKE_NUMBERS; fd++)
        private_close(fd);
    assert_int_equal(fake_numbers_used(), 0);
    return 0;
}

static struct idle made(void)
{
    int fd = private_move(real.socket(AF_INET, SOCK_STREAM, 0));

    fake_under(fd)->connected = true;
    return (struct idle){ .fd = fd, .cookie = socket_cookie(fd) };
}

static enum pool_health look_after(const char *bytes)
{
    struct idle idle = made();

    fake_arrives(fake_under(idle.fd), bytes, strlen(bytes));
    return idle_look(idle.fd);
}

static void test_look(void **state)
{
    (void)state;
    struct idle idle = made();
    assert_int_equal(idle_look(idle.fd), POOL_ALIVE);
    fake_under(idle.fd)->fin = true;
    assert_int_equal(idle_look(idle.fd), POOL_STALE);
    idle = made();
    fake_under(idle.fd)->reset = true;
    assert_int_equal(idle_look(idle.fd), POOL_STALE);
    assert_int_equal(look_after("HTTP/1.1 408 Request Timeout\r\n"), POOL_STALE);
    assert_int_equal(look_after("HTTP/1.0 408"), POOL_STALE);
    assert_int_equal(look_after("HTTP/1.1 40"), POOL_POISONED); /* not even that */
    assert_int_equal(look_after("HTTP/1.1 400 Bad\r\n"), POOL_POISONED);
    assert_int_equal(look_after("HTTP/2.1 408"), POOL_POISONED);
    assert_int_equal(look_after("x"), POOL_POISONED);
    assert_int_equal(idle_reason(POOL_ALIVE), REASON_none);
    assert_int_equal(idle_reason(POOL_STALE), REASON_stale);
    assert_int_equal(idle_reason(POOL_POISONED), REASON_poisoned);
}

static void test_look_leaves_bytes(void **state)
{
    struct idle idle = made();
    char bytes[8];

    (void)state;
    fake_arrives(fake_under(idle.fd), "x", 1);
    idle_look(idle.fd);
    assert_int_equal(real.recv(idle.fd, bytes, sizeof bytes, 0), 1);
}

static void test_is_there(void **state)
{
    struct idle idle = made();

    (void)state;
    assert_true(idle_is_there(&idle));
    idle.cookie++;
    assert_false(idle_is_there(&idle));
    idle.cookie = 0; /* never asked */
    assert_false(idle_is_there(&idle));
    fake_fail("getsockopt", 1, EPERM); /* nor is it now: that makes it no match */
    assert_false(idle_is_there(&idle));
    fake_fail_nothing();
    idle.cookie = socket_cookie(idle.fd);
    private_forget(idle.fd);
    assert_false(idle_is_there(&idle));
    private_adopt(idle.fd);
}

static void test_discard(void **state)
{
    const int lingers = 1;

    (void)state;
    struct idle idle = made();
    struct fake_socket *s = fake_under(idle.fd);
    real.setsockopt(idle.fd, SOL_SOCKET, SO_LINGER, &lingers, sizeof lingers);
    errno = 42;
    idle_discard(&idle, REASON_expired);
    assert_int_equal(errno, 42);
    assert_null(fake_under(idle.fd));
    assert_false(s->write_shut);
    assert_int_equal(fake_option(s, SOL_SOCKET, SO_LINGER), 0); /* a close must not wait */

    idle = made();
    s = fake_under(idle.fd);
    self.forked = true; /* a child may have a copy: only shutdown(2) tells the server */
    idle_discard(&idle, REASON_expired);
    assert_true(s->write_shut && s->read_shut && !fake_under(idle.fd));
}

/* What the program has put there is neither closed nor touched. */
static void test_discard_replaced(void **state)
{
    struct idle idle = made();

    (void)state;
    self.forked = true;
    fake_log_begin();
    idle_discard(&idle, REASON_replaced);
    assert_string_equal(kernel.log, "");
    assert_false(private_is(idle.fd));
    assert_non_null(fake_under(idle.fd));
    idle_discard(&idle, REASON_stale); /* its number is nobody's of ours */
    assert_non_null(fake_under(idle.fd));
    idle_close_copy(&idle);
    assert_non_null(fake_under(idle.fd));
    real.close(idle.fd);
}

static void test_proof(void **state)
{
    struct idle idle = made();
    uint64_t before = fake_ms;

    (void)state;
    assert_true(idle_wait_for_proof(&idle));
    assert_int_equal(fake_ms - before, 1);
    fake_under(idle.fd)->fin = true;
    assert_false(idle_wait_for_proof(&idle));
    fake_under(idle.fd)->fin = false;
    errno = 42;
    fake_fail("poll", 1, EINTR); /* in doubt, it has ended */
    assert_false(idle_wait_for_proof(&idle));
    assert_int_equal(errno, 42);
    idle_close_copy(&idle);
    assert_null(fake_under(idle.fd));
}

/* By the pool: what it finds when it takes one out. */
static int parked(void)
{
    static uint16_t port; /* each time another server: what was learned of one does not count */
    struct idle idle = made();

    port++;
    const struct endpoint to = { .family = AF_INET, .port = port, .netns = 1 };

    idle.max_left = -1;
    idle.idle_ms = 60000;
    idle.opened_ms = self_now_ms();
    idle.parked_ms = self_now_ms();
    assert_int_equal(pool_park(&to, &idle), REASON_none);
    return idle.fd;
}

static int examined(void)
{
    struct endpoint to;
    struct idle idle;

    assert_int_equal(pool_take_any(&to, &idle), 0);
    enum reason why = pool_examine(&to, &idle);
    if (why == REASON_replaced)
        private_forget(idle.fd);
    private_close(idle.fd);
    return (int)why;
}

static void test_probe(void **state)
{
    (void)state;
    parked();
    assert_int_equal(examined(), REASON_none);
    fake_under(parked())->fin = true;
    assert_int_equal(examined(), REASON_stale);
    fake_arrives(fake_under(parked()), "x", 1);
    assert_int_equal(examined(), REASON_poisoned);
    int fd = parked(), other = real.socket(AF_INET, SOCK_STREAM, 0);
    real.dup3(other, fd, 0); /* unseen */
    assert_int_equal(examined(), REASON_replaced);
    real.close(other);
    real.close(fd);
    fd = parked();
    fake_fail("getsockopt", 1, EPERM); /* a policy: it is ours still, but nobody knows how it is */
    assert_int_equal(examined(), REASON_stale);
    assert_null(fake_under(fd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_look, setup, teardown),
        cmocka_unit_test_setup_teardown(test_look_leaves_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_discard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_discard_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proof, setup, teardown),
        cmocka_unit_test_setup_teardown(test_probe, setup, teardown),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
