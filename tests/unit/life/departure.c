/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Departure: what another program is given, and what is as it was when it is over or has failed, for each way. */
#include "unit/preload/fake_conn.h"

#include "preload/life/departure.h"
#include "preload/life/handover_parcel.h"

#pragma GCC diagnostic ignored "-Wvla" /* DEPARTURE: as long as the environment is */

static unsigned port = 19000;

static int fcntl_both(int fd, int command, ...)
{
    va_list ap;

    va_start(ap, command);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    return fd < FAKE_FIRST ? fcntl(fd, command, argument) : fake_fcntl(fd, command, argument);
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    real.fcntl = fcntl_both;
    real.write = write;
    self.forked = false;
    port++;
    return 0;
}

static int teardown(void **state)
{
    self.forked = false;
    return fake_end(state);
}

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static const char *handed(char *const *env)
{
    for (; *env; env++)
        if (strncmp(*env, HANDOVER_VARIABLE "=", sizeof HANDOVER_VARIABLE) == 0)
            return *env;
    return NULL;
}

static int asked(void)
{
    int fd = fake_open(true);

    fake_connect_to(fd, port);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    return fd;
}

static int open_files(void)
{
    int n = 0;

    for (int fd = 0; fd < FAKE_FIRST; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static const enum departure_way ways[] = { DEPARTURE_EXEC, DEPARTURE_SPAWN, DEPARTURE_SHELL };

/* Nothing of ours to give: the environment goes as it is, and stays. */
static void test_nothing(void **state)
{
    char *env[] = { text("A=1"), text("B=2"), NULL };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char **before = environ;
        errno = 42;
        DEPARTURE(d, env, .way = ways[i]);
        assert_int_equal(errno, 42);
        assert_true(d.env[0] == env[0] && d.env[1] == env[1] && !d.env[2]);
        if (ways[i] == DEPARTURE_SHELL) {
            assert_string_equal(environ[0], "A=1");
            assert_ptr_not_equal(environ, d.env); /* never a stack */
        } else {
            assert_ptr_equal(environ, before);
        }
        departure_end(&d);
        assert_int_equal(errno, 42);
        assert_ptr_equal(environ, before);
    }
}

/* An exchange under way goes along; a program that did not come about leaves it here. */
static void test_exchange(void **state)
{
    char *env[] = { text("LD_PRELOAD=libholdfast.so"), NULL };

    (void)state;
    self.active = true;
    for (size_t i = 0; i < 3; i++) {
        int fd = asked();
        struct fake_socket *s = fake_under(fd);
        int files = open_files();
        DEPARTURE(d, env, .way = ways[i]);
        assert_ptr_equal(d.reached, env); /* a relative name is looked for elsewhere */
        assert_non_null(handed(d.env));
        departure_end(&d);
        assert_int_equal(open_files(), files); /* the parcel is gone */
        assert_ptr_equal(fake_under(fd), s);
        fake_arrives(s, fake_answer, strlen(fake_answer));
        char bytes[200];
        assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
        fake_closes(fd);
    }
}

/* A lease becomes a connection of its own before somebody else has the number. */
static void test_lease(void **state)
{
    char *env[] = { NULL };

    (void)state;
    for (int rearranged = 0; rearranged < 2; rearranged++) {
        fake_closes(fake_exchange(port));
        int fd = fake_open(true);
        assert_int_equal(fake_connect_to(fd, port), 0);
        struct conn *c = conn_find(fd);
        assert_true(conn_is_leased(c));
        conn_set_cloexec(fake_enter(fd), fd, rearranged); /* then only file actions hand it down */
        conn_leave(c);
        DEPARTURE(d, env, .way = DEPARTURE_SPAWN, .rearranged = rearranged);
        assert_false(conn_is_leased(c));
        departure_end(&d);
        fake_closes(fd);
        port++;
    }
    fake_closes(fake_exchange(port));
    int fd = fake_open(true);
    assert_int_equal(fake_connect_to(fd, port), 0);
    conn_set_cloexec(fake_enter(fd), fd, true);
    conn_leave(conn_find(fd));
    DEPARTURE(d, env, .way = DEPARTURE_EXEC);
    assert_true(conn_is_leased(conn_find(fd))); /* nobody gets it */
    departure_end(&d);
}

static void test_find(void **state)
{
    char room[PATH_MAX];

    (void)state;
    errno = 42;
    assert_null(departure_find("sh", room)); /* no queues: nobody needs to know */
    assert_int_equal(errno, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exchange, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_find, setup, teardown),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
