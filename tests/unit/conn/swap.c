/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Another socket under a client's numbers: all of them or none, whichever call fails. */
#include "unit/preload/fake_conn.h"
#include "preload/conn/fresh.h"
#include "preload/conn/under.h"

enum { SET = 90 };

static unsigned port = 8000; /* another server for each try: what was learned of one does not count */

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port++;
    return 0;
}

/* A conn with so many numbers, each in an epoll set; unlocked. */
static struct conn *with_numbers(int n, int numbers[])
{
    numbers[0] = fake_open(false);
    struct conn *c = fake_enter(numbers[0]);

    for (int i = 0; i < n; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)i };
        if (i) {
            numbers[i] = fake_install(fake_under(numbers[0]), FAKE_FIRST, FAKE_NUMBERS, false);
            conn_add_fd(c, numbers[i], i % 2);
        }
        if (i >= REGISTRATIONS_MAX)
            continue;
        real.epoll_ctl(SET, EPOLL_CTL_ADD, numbers[i], &event);
        registrations_note(&c->registrations, SET, EPOLL_CTL_ADD, numbers[i], EPOLLIN, (uint64_t)i);
    }
    conn_leave(c);
    return c;
}

static void all_lead_to(const int numbers[], int n, const struct fake_socket *s)
{
    uint32_t events;

    for (int i = 0; i < n; i++) {
        assert_ptr_equal(fake_under(numbers[i]), s);
        assert_int_equal(kernel.cloexec[numbers[i]], i % 2);
        if (i < REGISTRATIONS_MAX)
            assert_true(fake_registered(SET, numbers[i], &events) && events == EPOLLIN);
    }
}

static void test_under(void **state)
{
    int numbers[CONN_FDS];

    (void)state;
    struct conn *c = with_numbers(CONN_FDS, numbers);
    int source = private_move(real.socket(AF_INET, SOCK_STREAM, 0));
    kernel.cloexec[numbers[1]] = kernel.cloexec[numbers[3]] = true;
    fake_enter(numbers[0]);
    unsigned generation = c->fds.generation;
    errno = 42;
    assert_int_equal(under_put(c, source), 0);
    assert_int_equal(errno, 42);
    assert_int_equal(c->fds.generation, generation + 1);
    conn_leave(c);
    all_lead_to(numbers, CONN_FDS, fake_under(source));
    private_close(source);
}

/* dup3 fails at number i: every number leads to the old socket again, and is in its set. */
static void test_fails_at_each(void **state)
{
    int numbers[CONN_FDS];

    (void)state;
    for (unsigned nth = 1; nth <= CONN_FDS; nth++) {
        struct conn *c = with_numbers(CONN_FDS, numbers);
        const struct fake_socket *old = fake_under(numbers[0]);
        int source = private_move(real.socket(AF_INET, SOCK_STREAM, 0));
        for (int i = 1; i < CONN_FDS; i += 2)
            kernel.cloexec[numbers[i]] = true;
        fake_enter(numbers[0]);
        unsigned generation = c->fds.generation;
        fake_fail("dup3", nth, EMFILE);
        errno = 42;
        assert_int_equal(under_put(c, source), -EMFILE);
        assert_true(kernel.failed && errno == 42);
        assert_int_equal(c->fds.generation, generation);
        assert_int_equal(c->fds.count, CONN_FDS);
        conn_leave(c);
        all_lead_to(numbers, CONN_FDS, old);
        private_close(source);
        assert_int_equal(fake_under(numbers[0])->refs, CONN_FDS);
        fake_end(NULL);
        setup(NULL);
    }
}

/* EBUSY and EINTR pass. */
static void test_busy(void **state)
{
    static const int passing[] = { EBUSY, EINTR };
    int numbers[3];

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct conn *c = with_numbers(3, numbers);
        int source = private_move(real.socket(AF_INET, SOCK_STREAM, 0));
        kernel.cloexec[numbers[1]] = true;
        fake_enter(numbers[0]);
        fake_fail("dup3", 1 + i / 2, passing[i % 2]);
        assert_int_equal(under_put(c, source), 0);
        assert_true(kernel.failed);
        conn_leave(c);
        all_lead_to(numbers, 3, fake_under(source));
        private_close(source);
        fake_end(NULL);
        setup(NULL);
    }
}

/* A signal handler closes a number before, or while, it is given its new socket: it does not come back. */
static int closes_at, closes_when;

static int dup3_interrupted(int fd, int onto, int flags)
{
    if (onto == closes_at && closes_when == 1) {
        assert_true(conn_close_from_handler(onto));
        real.close(onto);
    }
    return fake_dup3(fd, onto, flags);
}

static void test_closed_meanwhile(void **state)
{
    int numbers[3];

    (void)state;
    for (closes_when = 0; closes_when < 2; closes_when++) {
        struct conn *c = with_numbers(3, numbers);
        int source = private_move(real.socket(AF_INET, SOCK_STREAM, 0));
        closes_at = numbers[1];
        real.dup3 = dup3_interrupted;
        fake_enter(numbers[0]);
        if (closes_when == 0) {
            assert_true(conn_close_from_handler(closes_at));
            real.close(closes_at);
        }
        assert_int_equal(under_put(c, source), 0);
        assert_null(fake_under(closes_at));
        conn_leave(c);
        assert_int_equal(c->fds.count, 2);
        assert_ptr_equal(fake_under(numbers[0]), fake_under(source));
        assert_ptr_equal(fake_under(numbers[2]), fake_under(source));
        private_close(source);
        fake_end(NULL);
        setup(NULL);
    }
}

/* ---- a lease, and what becomes of it ---- */

/* An idle connection to port is in the pool; it has served one exchange. */
static struct fake_socket *park_one(void)
{
    fake_closes(fake_exchange(port));
    struct fake_socket *s = &kernel.sockets[1];

    assert_true(s->refs == 1 && s->connected);
    return s;
}

static void test_lease(void **state)
{
    (void)state;
    const struct fake_socket *idle = park_one();
    int fd = fake_open(false);
    assert_int_equal(fake_connect_to(fd, port), 0);
    assert_int_equal(conn_find(fd)->state, CONN_LEASED);
    assert_ptr_equal(fake_under(fd), idle);
    assert_true(conn_find(fd)->reused && conn_borrowed == 1);
    fake_closes(fd); /* unused through us: perhaps used past us */
    assert_int_equal(idle->refs, 0);
    fd = fake_open(false);
    assert_int_equal(fake_connect_to(fd, port + 1), 0); /* another server */
    assert_true(fake_under(fd) != idle && conn_find(fd)->state == CONN_FRESH);
}

/* Whichever call fails while a client connects: it is connected, to its server, and nothing is left over. */
static void test_lease_each_call_fails(void **state)
{
    (void)state;
    unsigned nth = 1, leased = 0;
    for (bool failed = true; failed; nth++) {
        park_one();
        int fd = fake_open(false);
        fake_fail(FAKE_ANY, nth, ENOMEM);
        int result = fake_connect_to(fd, port);
        failed = kernel.failed;
        fake_fail_nothing();
        struct fake_socket *s = fake_under(fd);
        struct sockaddr_in to = fake_address(port);
        if (result == 0) {
            assert_true(s->connected && memcmp(&s->peer, &to, sizeof to) == 0);
            leased += conn_find(fd) && conn_find(fd)->state == CONN_LEASED;
        } else {
            assert_int_equal(result, -ENOMEM); /* the client's own connect */
        }
        fake_end(NULL);
        setup(NULL);
    }
    assert_in_range(nth, 5, 40);
    assert_in_range(leased, 1, nth);
}

/* What arrived on it, or ended it, while it was idle: it is not lent. */
static void test_lease_of_what_is_gone(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct fake_socket *idle = park_one();
        if (how == 0)
            idle->fin = true;
        else if (how == 1)
            idle->reset = true;
        else
            fake_arrives(idle, how == 2 ? "HTTP/1.1 408 Timeout\r\n\r\n" : "x", how == 2 ? 25 : 1);
        int fd = fake_open(false);
        fake_ms += 1000; /* not lent unseen */
        assert_int_equal(fake_connect_to(fd, port), 0);
        assert_int_equal(conn_find(fd)->state, CONN_FRESH);
        assert_true(fake_under(fd) != idle);
        assert_int_equal(idle->refs, 0);
        fake_end(NULL);
        setup(NULL);
    }
}

/* LEASED: a socket of its own comes under the number, connected, whichever call fails; or the client is told. */
static void test_rehome_each_call_fails(void **state)
{
    (void)state;
    unsigned nth = 1;
    for (bool failed = true; failed; nth++) {
        const struct fake_socket *idle = park_one();
        int fd = fake_open(false);
        assert_int_equal(fake_connect_to(fd, port), 0);
        struct conn *c = fake_enter(fd);
        assert_int_equal(c->state, CONN_LEASED);
        fake_fail(FAKE_ANY, nth, ENOMEM);
        int result = swap_rehome(c, true);
        failed = kernel.failed;
        fake_fail_nothing();
        if (result == 0) {
            assert_int_equal(c->state, CONN_FRESH);
            assert_true(!c->reused && fake_under(fd)->connected);
            assert_true(idle->refs <= 1 || fake_under(fd) == idle); /* nobody else has what is under the number */
        } else {
            assert_true(result == -ENOMEM || result == -ECONNRESET);
        }
        conn_leave(c);
        fake_end(NULL);
        setup(NULL);
    }
    assert_in_range(nth, 6, 60);
}

static void test_rehome_is_refused(void **state)
{
    static const struct {
        int error, told;
    } rows[] = { { ENETUNREACH, -ENETUNREACH }, { ETIMEDOUT, -ETIMEDOUT }, { EACCES, -ECONNRESET }, { EADDRNOTAVAIL, -ECONNRESET } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        park_one();
        int fd = fake_open(false);
        fake_connect_to(fd, port);
        struct conn *c = fake_enter(fd);
        kernel.refuse = rows[i].error;
        assert_int_equal(swap_rehome(c, false), rows[i].told);
        conn_leave(c);
        fake_end(NULL);
        setup(NULL);
    }
}

/* ---- the end ---- */

/* Whichever call fails at the end of an exchange: the client has got its answer and reads an end of file. */
static void test_end_each_call_fails(void **state)
{
    unsigned nth = 1;

    (void)state;
    for (bool failed = true; failed; nth++) {
        char bytes[200];
        int fd = fake_open(false), other = fake_open(false);
        fake_connect_to(fd, port);
        fake_sends(fd, fake_request, strlen(fake_request));
        fake_arrives(fake_under(fd), fake_answer, strlen(fake_answer));
        struct fake_socket *s = fake_under(fd);
        fake_receives(fd, bytes, strlen(fake_answer) - 3);
        fake_fail(FAKE_ANY, nth, ENOMEM);
        ssize_t n;
        size_t sum = 0;
        while ((n = fake_receives(fd, bytes, sizeof bytes)) > 0)
            sum += (size_t)n;
        deferred_apply_all();
        failed = kernel.failed;
        fake_fail_nothing();
        if (n == -ENOMEM) /* the client's own receive */
            n = fake_receives(fd, bytes, sizeof bytes);
        assert_true(n >= 0 || n == -ENOMEM);
        while (n > 0)
            n = fake_receives(fd, bytes, sizeof bytes);
        assert_int_equal(n, 0);
        fake_closes(fd);
        assert_true(s->refs <= 1); /* in the pool, or closed */
        fake_closes(other);
        fake_end(NULL);
        setup(NULL);
    }
    assert_in_range(nth, 6, 60);
}

static void test_late_error(void **state)
{
    static const int same[] = { 0, EBADF, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENOBUFS, ENOMEM, ETIMEDOUT };

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_int_equal(fresh_late_error(-same[i]), -same[i]);
    assert_int_equal(fresh_late_error(-EINPROGRESS), -ECONNRESET);
    assert_int_equal(fresh_late_error(-EISCONN), -ECONNRESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_under, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_fails_at_each, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_busy, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_closed_meanwhile, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_lease, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_lease_each_call_fails, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_lease_of_what_is_gone, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_rehome_each_call_fails, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_rehome_is_refused, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_end_each_call_fails, setup, fake_end),
        cmocka_unit_test(test_late_error),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
