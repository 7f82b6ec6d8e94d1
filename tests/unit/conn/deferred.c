/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* What the kernel is not told at once: the end of an exchange, a registration.  Done in whatever order, told by
 * whatever call, it comes to the same as if the kernel had been told. */
#include "unit/preload/fake_conn.h"

enum { SET = 90, OTHER_SET = 91 };

static unsigned port = 9000;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port += 10;
    deferred_is_set(SET);
    return 0;
}

/* The request is on its way.  (A connect that finds no idle connection applies what is deferred: so all connect
 * first.) */
static int asked(unsigned where)
{
    int fd = fake_open(false);

    assert_int_equal(fake_connect_to(fd, where), 0);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    return fd;
}

static bool is_deferred(int fd)
{
    return conn_find(fd)->state == CONN_ENDED_UNSWAPPED || conn_find(fd)->state == CONN_LEASED_UNREGISTERED;
}

/* Ended, and the kernel was not told. */
static int answered(int fd)
{
    char bytes[200];

    fake_arrives(fake_under(fd), fake_answer, strlen(fake_answer));
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    assert_true(is_deferred(fd));
    return fd;
}

static int ended(unsigned where)
{
    return answered(asked(where));
}

static bool adds(int epfd, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.u64 = (uint64_t)fd };
    struct conn *c = fake_enter(fd);
    bool deferred = deferred_add(c, epfd, fd, &event);

    if (!deferred) {
        assert_int_equal(real.epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event), 0);
        registrations_note(&c->registrations, epfd, EPOLL_CTL_ADD, fd, events, event.data.u64);
    }
    conn_leave(c);
    return deferred;
}

/* Leased, and its registration is not in the set.  An idle connection to there is in the pool. */
static int leased(unsigned where)
{
    int fd = fake_open(true);

    assert_int_equal(fake_connect_to(fd, where), 0);
    assert_int_equal(conn_find(fd)->state, CONN_LEASED);
    assert_true(adds(SET, fd, EPOLLOUT));
    return fd;
}

static void apply(int fd)
{
    struct conn *c = fake_enter(fd);

    deferred_apply(c);
    conn_leave(c);
}

/* The client reads an end of file by the number, and the connection is idle. */
static void is_applied_end(int fd, const struct fake_socket *connection)
{
    const struct fake_socket *under = fake_under(fd);

    assert_true(under && under != connection);
    assert_int_equal(connection->refs, 1);
    assert_false(is_deferred(fd));
    assert_int_equal(conn_find(fd)->fds.private_fd, -1);
}

static void test_each_order(void **state)
{
    static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

    (void)state;
    for (size_t i = 0; i <= sizeof orders / sizeof *orders; i++) {
        fake_closes(fake_exchange(port));
        int fds[3] = { -1, asked(port + 1), asked(port + 2) };
        fds[0] = leased(port);
        for (int k = 1; k < 3; k++)
            answered(fds[k]);
        struct fake_socket *sockets[3] = { fake_under(fds[0]), fake_under(fds[1]), fake_under(fds[2]) };
        uint32_t events;
        assert_int_equal(conn_deferred, 3);
        assert_false(fake_registered(SET, fds[0], &events));
        for (int k = 0; k < 3 && i < sizeof orders / sizeof *orders; k++) {
            apply(fds[orders[i][k]]);
            assert_int_equal(conn_deferred, 2 - k);
        }
        deferred_apply_all(); /* all at once in the last round; else there is nothing to do */
        assert_int_equal(conn_deferred, 0);
        assert_true(fake_registered(SET, fds[0], &events) && events & EPOLLOUT);
        is_applied_end(fds[1], sockets[1]);
        is_applied_end(fds[2], sockets[2]);
        fake_end(NULL);
        setup(NULL);
    }
}

/* What a client does next, most often, needs nothing of it: it reads the end, and closes. */
static void test_usual(void **state)
{
    char byte;

    (void)state;
    int fd = ended(port);
    const struct fake_socket *connection = fake_under(fd);
    fake_log_begin();
    assert_int_equal(fake_receives(fd, &byte, 1), 0);
    assert_int_equal(fake_receives(fd, &byte, 1), 0);
    fake_closes(fd);
    assert_null(strstr(kernel.log, "dup3"));
    assert_int_equal(connection->refs, 1);
    assert_int_equal(conn_deferred, 0);
}

/* Whatever else touches the socket applies it first. */
static void test_entered(void **state)
{
    uint32_t events;

    (void)state;
    int fd = ended(port);
    const struct fake_socket *connection = fake_under(fd);
    conn_leave(conn_enter(fd, NEED_ALL));
    is_applied_end(fd, connection);
    fake_closes(fake_exchange(port + 1));
    fd = leased(port + 1);
    conn_leave(conn_enter(fd, NEED_ALL));
    assert_true(fake_registered(SET, fd, &events));
    assert_int_equal(conn_deferred, 0);
}

/* A number that was closed where nobody saw it: what lies there now stays as it is. */
static void test_replaced(void **state)
{
    (void)state;
    int fd = ended(port), other = real.socket(AF_INET, SOCK_STREAM, 0);
    const struct fake_socket *connection = fake_under(fd), *stranger = fake_under(other);
    real.dup3(other, fd, 0);
    real.close(other);
    deferred_apply_all();
    assert_ptr_equal(fake_under(fd), stranger);
    assert_null(conn_find(fd));
    assert_int_equal(connection->refs, 1); /* ended as by a close: parked */
    assert_int_equal(conn_deferred, 0);
    real.close(fd);
}

/* Where somebody else may wait for the socket, or more than one number leads to it, the kernel is told at once. */
static void test_not_deferred(void **state)
{
    (void)state;
    for (int why = 0; why < 3; why++) {
        char bytes[200];
        int fd = fake_open(false);
        fake_connect_to(fd, port);
        fake_sends(fd, fake_request, strlen(fake_request));
        const struct fake_socket *connection = fake_under(fd);
        struct conn *c = fake_enter(fd);
        int copy = why == 0 ? fake_install(fake_under(fd), FAKE_FIRST, FAKE_NUMBERS, false) : -1;
        if (why == 0)
            conn_add_fd(c, copy, false);
        conn_leave(c);
        if (why == 1)
            adds(SET, fd, EPOLLIN | EPOLLET); /* the edge is to be told */
        if (why == 2)
            adds(SET, fd, EPOLLIN), adds(OTHER_SET, fd, EPOLLIN);
        fake_arrives(fake_under(fd), fake_answer, strlen(fake_answer));
        fake_receives(fd, bytes, sizeof bytes);
        assert_false(is_deferred(fd));
        is_applied_end(fd, connection);
        if (copy >= 0)
            assert_ptr_equal(fake_under(copy), fake_under(fd));
        fake_end(NULL);
        setup(NULL);
    }
}

static void test_add_is_not_deferred(void **state)
{
    (void)state;
    fake_closes(fake_exchange(port));
    int fd = fake_open(true), fresh = fake_open(true);
    struct epoll_event out = { .events = EPOLLOUT }, both = { .events = EPOLLIN | EPOLLOUT }, edge = { .events = EPOLLOUT | EPOLLET };
    fake_connect_to(fd, port);
    fake_connect_to(fresh, port);
    struct conn *c = fake_enter(fd);
    assert_false(deferred_add(c, SET, fd, &both));
    assert_false(deferred_add(c, SET, fd, &edge));
    assert_false(deferred_add(c, SET, fd, NULL));
    assert_false(deferred_add(c, OTHER_SET, fd, &out)); /* who knows whether it is a set */
    deferred_new_number();
    assert_false(deferred_add(c, SET, fd, &out)); /* perhaps not the same set any more */
    deferred_is_set(SET);
    assert_true(deferred_add(c, SET, fd, &out));
    assert_false(deferred_add(c, SET, fd, &out));
    conn_leave(c);
    c = fake_enter(fresh);
    assert_int_equal(c->state, CONN_FRESH);
    assert_false(deferred_add(c, SET, fresh, &out));
    conn_leave(c);
    deferred_before_wait();
}

/* ---- calls that wait tell it themselves ---- */

static int told_by_poll(struct pollfd *fds, nfds_t n)
{
    return deferred_polled(fds, n) ? deferred_tell_poll(fds, n, real.poll(fds, n, 0)) : 0;
}

static void test_poll(void **state)
{
    (void)state;
    int fd = ended(port), other = real.socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd fds[3] = { { .fd = other, .events = POLLIN }, { .fd = fd, .events = POLLIN | POLLOUT }, { .fd = -1 } };
    assert_int_equal(told_by_poll(fds, 1), 0);
    assert_int_equal(told_by_poll(NULL, 0), 0);
    assert_int_equal(told_by_poll(fds, 2), 1);
    assert_int_equal(fds[0].revents, 0);
    assert_int_equal(fds[1].revents, POLLIN | POLLOUT);
    fake_arrives(fake_under(other), "x", 1);
    assert_int_equal(told_by_poll(fds, 2), 2);
    fds[1].events = POLLOUT; /* that is the kernel's to say */
    assert_int_equal(told_by_poll(fds, 2), 0);
    assert_true(is_deferred(fd));
    real.close(other);
}

static void test_select(void **state)
{
    (void)state;
    int fd = ended(port);
    fd_set in, ready;
    FD_ZERO(&in);
    FD_ZERO(&ready);
    assert_false(deferred_selected(1024, &in));
    FD_SET(fd, &in);
    assert_false(deferred_selected(fd, &in)); /* n is one too low */
    assert_false(deferred_selected(fd + 1, NULL));
    assert_true(deferred_selected(fd + 1, &in));
    assert_int_equal(deferred_select(fd + 1, &in, &ready), 1);
    assert_true(FD_ISSET(fd, &ready));
    assert_int_equal(deferred_select(fd + 1, &in, &ready), 0); /* not twice */
    assert_true(is_deferred(fd));
}

static int told_by_epoll(int epfd, struct epoll_event *events, int most)
{
    return deferred_waited(epfd, events, most)
               ? deferred_tell_epoll(epfd, events, real.epoll_wait(epfd, events, most, 0), most)
               : 0;
}

/* What the kernel says: registrations of sockets with something to read. */
static int fake_epoll_wait(int epfd, struct epoll_event *events, int most, int ms)
{
    int n = 0;

    if (fake_call("epoll_wait", epfd))
        return -1;
    assert_int_equal(ms, 0);
    for (int i = 0; i < kernel.set_count && n < most; i++)
        if (kernel.sets[i].epfd == epfd && kernel.sets[i].socket->fin)
            events[n++] = kernel.sets[i].event;
    return n;
}

static void test_epoll(void **state)
{
    struct epoll_event events[4];

    (void)state;
    real.epoll_wait = fake_epoll_wait;
    int first = asked(port), second = asked(port + 1);
    assert_false(adds(SET, first, EPOLLIN) || adds(SET, second, EPOLLIN));
    answered(first);
    answered(second);
    assert_int_equal(told_by_epoll(SET, events, 4), 2);
    assert_true(events[0].data.u64 == (uint64_t)first && events[0].events == EPOLLIN);
    assert_true(events[1].data.u64 == (uint64_t)second && events[1].events == EPOLLIN);
    assert_true(is_deferred(first) && is_deferred(second));

    assert_int_equal(told_by_epoll(SET, events, 1), 1); /* of the other one the kernel tells from now on */
    assert_true(is_deferred(first) && !is_deferred(second));
    assert_int_equal(told_by_epoll(OTHER_SET, events, 4), 0); /* of what is waited for in another set, too */
    assert_int_equal(conn_deferred, 0);
}

/* The server has closed, and the kernel tells of it as well: once is enough. */
static void test_epoll_told_twice(void **state)
{
    struct epoll_event events[4];

    (void)state;
    real.epoll_wait = fake_epoll_wait;
    int fd = asked(port);
    assert_false(adds(SET, fd, EPOLLIN));
    answered(fd);
    fake_under(fd)->fin = true;
    assert_int_equal(told_by_epoll(SET, events, 4), 1);
    assert_int_equal(events[0].data.u64, fd);
    assert_int_equal(conn_deferred, 0);
}

static void test_epoll_fails(void **state)
{
    struct epoll_event events[4];

    (void)state;
    real.epoll_wait = fake_epoll_wait;
    int fd = asked(port);
    assert_false(adds(SET, fd, EPOLLIN));
    answered(fd);
    fake_fail("epoll_wait", 1, EBADF);
    assert_int_equal(told_by_epoll(SET, events, 4), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(told_by_epoll(SET, events, 0), 0);
    assert_false(is_deferred(fd));
}

/* A set, or a copy of a number, is about to be made: the number of the set may be another one's soon. */
static void test_new_number(void **state)
{
    (void)state;
    int fd = ended(port);
    const struct fake_socket *connection = fake_under(fd);
    deferred_new_number();
    is_applied_end(fd, connection);
}

/* A registration that never got into the set is not taken out of it. */
static void test_add_closed(void **state)
{
    (void)state;
    fake_closes(fake_exchange(port));
    int fd = leased(port);
    fake_log_begin();
    fake_closes(fd);
    assert_null(strstr(kernel.log, "epoll"));
    assert_int_equal(conn_deferred, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_order, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_usual, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_entered, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_replaced, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_not_deferred, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_add_is_not_deferred, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_poll, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_select, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_epoll, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_epoll_told_twice, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_epoll_fails, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_new_number, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_add_closed, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
