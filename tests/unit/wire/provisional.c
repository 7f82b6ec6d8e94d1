/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Provisional: on a reused connection, which bytes are an answer, which belong to its past, and what is done then. */
#include "unit/preload/fake_conn.h"

#include "preload/wire/provisional.h"

static unsigned port = 12000;
static const char timeout[] = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlate";

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port++;
    return 0;
}

/* A request that went out on a connection that was used before. */
static int asked(void)
{
    fake_closes(fake_exchange(port));
    int fd = fake_open(true);
    assert_int_equal(fake_connect_to(fd, port), 0); /* a lease */
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    struct conn *c = fake_enter(fd);
    assert_true(c->reused && provisional_is(c));
    conn_leave(c);
    return fd;
}

static bool is_provisional(int fd)
{
    bool is = provisional_is(fake_enter(fd));

    conn_leave(conn_find(fd));
    return is;
}

static void gives(int fd, const char *body)
{
    char bytes[300];
    ssize_t n = fake_receives(fd, bytes, sizeof bytes - 1);

    assert_true(n > 0);
    bytes[n] = '\0';
    assert_true((size_t)n >= strlen(body) && strcmp(bytes + n - strlen(body), body) == 0);
}

static void test_answer(void **state)
{
    int fd = asked();
    char bytes[10];

    (void)state;
    fake_arrives(fake_under(fd), "HTT", 3); /* could be anything */
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), -EAGAIN);
    assert_true(is_provisional(fd));
    fake_arrives(fake_under(fd), fake_answer + 3, strlen(fake_answer) - 3);
    gives(fd, "ok");
    assert_false(is_provisional(fd));
}

/* What is no answer is the past's: the request goes out anew, on a connection of its own. */
static void test_foreign(void **state)
{
    int fd = asked();
    struct fake_socket *old = fake_under(fd);
    char bytes[10];

    (void)state;
    fake_arrives(old, "garbage\r\n", 9);
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), -EAGAIN);
    struct fake_socket *fresh = fake_under(fd);
    assert_ptr_not_equal(fresh, old);
    assert_non_null(memmem(fresh->out, fresh->out_len, "GET / HTTP/1.1", 14));
    fake_arrives(fresh, fake_answer, strlen(fake_answer));
    gives(fd, "ok");
    assert_true(evidence_has(&conn_find(fd)->to, EVIDENCE_UNEXPECTED_BYTES));
}

/* A 408 may be to the past: asked once more, another answer says that it was. */
static void test_doubtful_past(void **state)
{
    int fd = asked();
    struct fake_socket *old = fake_under(fd);
    char bytes[10];

    (void)state;
    fake_arrives(old, timeout, strlen(timeout));
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), -EAGAIN);
    struct conn *c = fake_enter(fd);
    assert_true(c->reply.first && c->reply.first->status == 408);
    conn_leave(c);
    struct fake_socket *fresh = fake_under(fd);
    assert_ptr_not_equal(fresh, old);
    fake_arrives(fresh, fake_answer, strlen(fake_answer));
    gives(fd, "ok");
    assert_null(c->reply.first);
    assert_false(evidence_has(&c->to, EVIDENCE_GENUINE_408));
    assert_int_equal(old->refs, 0);
}

/* The same one again says that the server means it; then nobody asks twice. */
static void test_doubtful_genuine(void **state)
{
    int fd = asked();
    char bytes[10];

    (void)state;
    const struct endpoint to = conn_find(fd)->to;
    fake_arrives(fake_under(fd), timeout, strlen(timeout));
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), -EAGAIN);
    fake_arrives(fake_under(fd), timeout, strlen(timeout));
    gives(fd, "late");
    assert_true(evidence_has(&to, EVIDENCE_GENUINE_408));
    fake_closes(fd);

    fd = asked();
    int made = kernel.made;
    fake_arrives(fake_under(fd), timeout, strlen(timeout));
    gives(fd, "late");
    assert_int_equal(kernel.made, made); /* no other connection was tried */
    fake_closes(fd);
}

/* No fresh connection can be had: the first answer is the client's. */
static void test_fall_back(void **state)
{
    int fd = asked();
    char bytes[10];

    (void)state;
    fake_arrives(fake_under(fd), timeout, strlen(timeout));
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), -EAGAIN);
    fake_under(fd)->reset = true;
    gives(fd, "late");
    fake_closes(fd);
}

static void test_no_socket(void **state)
{
    int fd = asked();

    (void)state;
    fake_arrives(fake_under(fd), timeout, strlen(timeout));
    fake_fail("socket", 1, EMFILE);
    real.connect = NULL; /* not asked */
    struct conn *c = fake_enter(fd);
    c->use.inside = 1; /* another thread is in a call on it: nothing is put under its feet */
    struct slice all = { timeout, strlen(timeout) };
    assert_int_equal(provisional_judge(c, all, 0), 1);
    assert_null(c->reply.first);
    c->use.inside = 0;
    conn_leave(c);
    real.connect = fake_connect;
    fake_fail_nothing();
}

static void test_is_over(void **state)
{
    (void)state;
    assert_true(provisional_is_over(0) && provisional_is_over(-ECONNREFUSED) && provisional_is_over(-ECONNRESET));
    assert_false(provisional_is_over(1) || provisional_is_over(-EAGAIN) || provisional_is_over(-EINTR));
}

static void test_dead_and_mend(void **state)
{
    int fd = asked();
    struct conn *c = fake_enter(fd);
    struct fake_socket *old = fake_under(fd);

    (void)state;
    errno = 42;
    assert_false(provisional_is_dead(c));
    old->fin = true;
    assert_true(provisional_is_dead(c));
    assert_int_equal(errno, 42);
    assert_int_equal(provisional_mend(c), 0);
    assert_int_equal(errno, 42);
    assert_ptr_not_equal(fake_under(fd), old);
    assert_true(memmem(fake_under(fd)->out, fake_under(fd)->out_len, "GET / ", 6) != NULL);
    assert_false(provisional_is(c)); /* on a fresh one there is no past */
    fake_under(fd)->fin = true;
    assert_false(provisional_is_dead(c)); /* the server's own doing */
    conn_leave(c);
}

/* An error is told by the kernel once: it is kept for the receive. */
static void test_dead_by_error(void **state)
{
    int fd = asked();
    struct conn *c = fake_enter(fd);

    (void)state;
    fake_under(fd)->reset = true;
    assert_true(provisional_is_dead(c));
    assert_int_equal(c->reply.kernel_error, ECONNRESET);
    conn_leave(c);
}

static void test_mend_leased(void **state)
{
    fake_closes(fake_exchange(port));
    int fd = fake_open(true);

    (void)state;
    assert_int_equal(fake_connect_to(fd, port), 0);
    struct conn *c = fake_enter(fd);
    struct fake_socket *old = fake_under(fd);
    assert_true(conn_is_leased(c));
    old->fin = true;
    assert_true(provisional_is_dead(c));
    c->copied = true;
    assert_int_equal(provisional_mend(c), -ENOTSUP);
    c->copied = false;
    assert_int_equal(provisional_mend(c), 0);
    assert_false(conn_is_leased(c));
    assert_ptr_not_equal(fake_under(fd), old);
    conn_leave(c);
}

/* busybox wget: O_NONBLOCK is set in mid-answer and cleared behind its end, where the connection is not the client's any
 * more: whoever leases it next finds it as that one wants it. */
static void test_flags_behind_the_end(void **state)
{
    char bytes[200];
    int fd = fake_open(false);

    (void)state;
    assert_int_equal(fake_connect_to(fd, port), 0);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    struct conn *c = fake_enter(fd);
    c->nonblocking = fake_under(fd)->nonblocking = true;
    conn_leave(c);
    fake_arrives(fake_under(fd), fake_answer, strlen(fake_answer));
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    c = fake_enter(fd);
    assert_true(conn_has_ended(c));
    c->nonblocking = false; /* F_SETFL, which the library answers */
    conn_leave(c);
    fake_closes(fd);
    fd = fake_open(false);
    assert_int_equal(fake_connect_to(fd, port), 0);
    c = fake_enter(fd);
    assert_true(conn_is_leased(c));
    assert_false(fake_under(fd)->nonblocking);
    conn_leave(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answer, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_foreign, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_doubtful_past, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_doubtful_genuine, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_fall_back, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_no_socket, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_is_over, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_dead_and_mend, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_dead_by_error, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_flags_behind_the_end, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_mend_leased, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
