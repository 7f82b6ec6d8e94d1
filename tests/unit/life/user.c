/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* A change of user or place: what is given up with it, and what stays. */
#include "unit/preload/fake_conn.h"

#include "preload/life/user.h"
#include "preload/self/identity.h"


enum { HOME = 0 }; /* what identity.c takes for the user of the start: identity_start is not called */

static unsigned port = 14000;
static uint32_t uids[3]; /* what the kernel says: real, effective, saved */
static bool untold;

static long fake_syscall(long number, ...)
{
    va_list ap;

    if (untold || number != SYS_getresuid) {
        errno = EPERM;
        return -1;
    }
    va_start(ap, number);
    for (int i = 0; i < 3; i++)
        *va_arg(ap, uint32_t *) = uids[i];
    va_end(ap);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    real.syscall = fake_syscall;
    port++;
    untold = false;
    for (int i = 0; i < 3; i++)
        uids[i] = HOME;
    identity_changed(IDENTITY_USER); /* whatever the test before has said */
    self.has_left = false;
    return 0;
}

static int teardown(void **state)
{
    self.has_left = false;
    self.active = true;
    return fake_end(state);
}

static int spare(void)
{
    int fd = private_move(real.socket(AF_INET, SOCK_STREAM, 0));

    spare_give(AF_INET, fd, (struct spare){ false, 0 });
    return fd;
}

static void test_nothing(void **state)
{
    unsigned before = atomic_load(&identity_changes);
    int fd = spare();

    (void)state;
    user_changing(0);
    user_changed(0, true, true);
    assert_int_equal(atomic_load(&identity_changes), before);
    assert_true(private_is(fd));
}

/* Before and after the call: who asked in between asks again. */
static void test_still_at_home(void **state)
{
    unsigned before = atomic_load(&identity_changes);

    (void)state;
    fake_closes(fake_exchange(port));
    unsigned idle = pool_count();
    int fd = spare();
    errno = 42;
    user_changing(IDENTITY_USER);
    assert_int_equal(atomic_load(&identity_changes), before + 1);
    assert_true(private_is(fd));
    user_changed(IDENTITY_USER, true, true);
    assert_int_equal(errno, 42);
    assert_int_equal(atomic_load(&identity_changes), before + 2);
    assert_false(private_is(fd)); /* made by another one */
    assert_int_equal(pool_count(), idle);
    assert_false(self.has_left);
}

/* One of the three is the user of the start: it can become that again. */
static void test_can_return(void **state)
{
    (void)state;
    for (int kept = 0; kept < 3; kept++) {
        for (int i = 0; i < 3; i++)
            uids[i] = i == kept ? HOME : HOME + 1;
        user_changed(IDENTITY_USER, true, true);
        assert_false(self.has_left);
    }
}

static void leaves(unsigned kinds, bool succeeded, bool everywhere, bool left)
{
    for (int i = 0; i < 3; i++)
        uids[i] = HOME + 1;
    self.has_left = false;
    user_changed(kinds, succeeded, everywhere);
    assert_int_equal(self.has_left, left);
}

static void test_left(void **state)
{
    (void)state;
    fake_closes(fake_exchange(port));
    assert_true(pool_count() > 0);
    leaves(IDENTITY_USER, false, true, false); /* the call failed */
    leaves(IDENTITY_NETWORK, true, true, false); /* the user stays */
    assert_true(pool_count() > 0);
    leaves(IDENTITY_USER, true, true, true);
    assert_int_equal(pool_count(), 0);
    leaves(IDENTITY_NETWORK | IDENTITY_USER, true, true, true);
    untold = true; /* in doubt, it has */
    leaves(IDENTITY_USER, true, true, true);
}

/* A spare that was handed out becomes what the client believes it is. */
static void test_settle_spare(void **state)
{
    struct spare given;
    int own = spare(), number;

    (void)state;
    assert_int_equal(spare_take(AF_INET, &given), own);
    number = fake_install(fake_under(own), FAKE_FIRST, FAKE_NUMBERS, false);
    struct conn *c = conn_create(number, false, CONN_NEW_UNREADY);
    c->to.family = AF_INET;
    c->fds.private_fd = own;
    c->opening.spare = given;
    user_settle_spare(c);
    assert_int_equal(c->state, CONN_NEW_TOUCHED);
    user_settle_spare(c); /* and nothing more */
    assert_int_equal(c->state, CONN_NEW_TOUCHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_still_at_home, setup, teardown),
        cmocka_unit_test_setup_teardown(test_can_return, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settle_spare, setup, teardown),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
