/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Endwait: who is told of an end before the bytes are received, and when; by poll and by epoll. */
#include "unit/preload/fake_conn.h"

#include "preload/wire/endwait.h"
#include "preload/wire/incoming.h"

enum { SET = 90 };

static unsigned port = 11000;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port++;
    atomic_store(&endwait_sets, ENDWAIT_NONE);
    return 0;
}

/* One that has asked, and waits for the answer. */
static int asked(void)
{
    int fd = fake_open(true);

    fake_connect_to(fd, port);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    return fd;
}

static void answers(int fd, size_t most)
{
    size_t len = strlen(fake_answer);

    fake_arrives(fake_under(fd), fake_answer, len < most ? len : most);
}

static bool has_ended(int fd)
{
    bool ended = conn_has_ended(fake_enter(fd));

    conn_leave(conn_find(fd));
    return ended;
}

static void is_given_whole(int fd)
{
    char bytes[200];
    ssize_t n = fake_receives(fd, bytes, sizeof bytes);

    assert_true(n > 2 && memcmp(bytes + n - 2, "ok", 2) == 0);
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), 0);
}

/* Without POLLIN, nothing would wake it: it waits in turns until the answer lies there whole. */
static void test_poll(void **state)
{
    int fd = asked();
    struct pollfd fds[] = { { .fd = fd, .events = POLLRDHUP } };

    (void)state;
    assert_true(endwait_poll(fds, 1)); /* in turns */
    answers(fd, strlen(fake_answer) - 1);
    assert_true(endwait_poll(fds, 1));
    assert_false(has_ended(fd));
    fake_arrives(fake_under(fd), "k", 1);
    errno = 42;
    assert_false(endwait_poll(fds, 1)); /* what lies there now says so itself */
    assert_int_equal(errno, 42);
    assert_true(has_ended(fd));
    is_given_whole(fd);
}

static void test_poll_not_asked(void **state)
{
    int fd = asked(), plain = real.socket(AF_INET, SOCK_STREAM, 0);
    struct pollfd bytes[] = { { .fd = fd, .events = POLLIN | POLLRDHUP } }, out[] = { { .fd = fd, .events = POLLOUT } };
    struct pollfd others[] = { { .fd = -1, .events = POLLRDHUP }, { .fd = plain, .events = POLLRDHUP } };

    (void)state;
    answers(fd, SIZE_MAX);
    assert_false(endwait_poll(bytes, 1)); /* the bytes wake it: then is the time */
    assert_false(endwait_poll(out, 1));   /* not to be told */
    assert_false(endwait_poll(others, 2));
    assert_false(has_ended(fd));
    real.close(plain);
}

static void test_ended(void **state)
{
    int fd = asked();
    const struct fake_socket *s = fake_under(fd);
    struct pollfd fds[] = { { .fd = fd, .events = POLLIN | POLLRDHUP } };
    struct pollfd told[] = { { .fd = fd, .events = POLLIN, .revents = POLLOUT } };

    (void)state;
    answers(fd, strlen(fake_answer) - 1);
    told[0].revents = POLLIN;
    assert_false(endwait_ended(fds, told, 1));
    fake_arrives(fake_under(fd), "k", 1);
    told[0].revents = POLLOUT; /* no bytes were told of */
    assert_false(endwait_ended(fds, told, 1));
    told[0].revents = POLLIN;
    fds[0].events = POLLIN; /* nor is the end asked for */
    assert_false(endwait_ended(fds, told, 1));
    fds[0].events = POLLIN | POLLRDHUP;
    assert_true(endwait_ended(fds, told, 1));
    assert_ptr_not_equal(fake_under(fd), s); /* what lies there now shows it: not owed any more */
    assert_int_equal(conn_find(fd)->state, CONN_ENDED);
    is_given_whole(fd);
}

/* Somebody else receives, or has looked: it is left alone. */
static void test_settle_left_alone(void **state)
{
    int fd = asked();
    struct conn *c = fake_enter(fd);

    (void)state;
    answers(fd, SIZE_MAX);
    c->use.inside = 1;
    assert_false(endwait_settle(c));
    c->use.inside = 0;
    c->reply.error = ECONNRESET;
    assert_false(endwait_settle(c));
    c->reply.error = 0;
    fake_fail("ioctl", 1, EIO);
    assert_false(endwait_settle(c));
    assert_int_equal(hold_len(&c->reply.bytes), 0);
    assert_true(endwait_settle(c));
    assert_true(endwait_settle(c)); /* still */
    conn_leave(c);
    is_given_whole(fd);
}

/* Another process may read the answer: it stays in the kernel, and the kernel shows the end behind it. */
static void test_settle_copied(void **state)
{
    int fd = asked();
    struct conn *c = fake_enter(fd);
    const struct fake_socket *s = fake_under(fd);

    (void)state;
    c->copied = true;
    answers(fd, strlen(fake_answer) - 1);
    assert_false(endwait_settle(c));
    assert_false(s->read_shut);
    fake_arrives(fake_under(fd), "k", 1);
    fake_fail("shutdown", 1, ENOBUFS);
    assert_false(endwait_settle(c));
    assert_true(endwait_settle(c));
    assert_true(s->read_shut && fake_under(fd) == s);
    assert_int_equal(s->in_len - s->in_at, strlen(fake_answer));
    assert_false(conn_has_ended(c));
    conn_leave(c);
    is_given_whole(fd);
}

/* The client has ended its side: the server's end is the client's hangup, and the server may be told. */
static void test_hangs_up(void **state)
{
    int fd = asked();
    struct conn *c = fake_enter(fd);
    struct fake_socket *s = fake_under(fd);

    (void)state;
    answers(fd, strlen(fake_answer) - 1);
    s->fin = true;
    assert_false(endwait_settle(c));
    assert_false(s->write_shut);
    c->after.write_shut = true;
    assert_true(endwait_settle(c));
    assert_true(s->write_shut);
    assert_int_equal(c->unparkable, REASON_half_closed);
    conn_leave(c);
}

static void test_note(void **state)
{
    int fd = asked();
    struct conn *c = fake_enter(fd);

    (void)state;
    endwait_note(c, EPOLLIN);
    assert_false(endwait_any(ENDWAIT_WITH_BYTES));
    endwait_note(c, EPOLLIN | EPOLLRDHUP);
    assert_true(endwait_any(ENDWAIT_WITH_BYTES) && !endwait_any(ENDWAIT_ALONE));
    endwait_note(c, EPOLLRDHUP);
    assert_true(endwait_any(ENDWAIT_ALONE));
    endwait_note(c, EPOLLIN | EPOLLRDHUP); /* it never falls */
    assert_true(endwait_any(ENDWAIT_ALONE));
    conn_leave(c);
}

static int registered(uint32_t events)
{
    int fd = asked();
    struct conn *c = fake_enter(fd);
    struct epoll_event event = { .events = events, .data.u64 = (uint64_t)fd };

    assert_int_equal(real.epoll_ctl(SET, EPOLL_CTL_ADD, fd, &event), 0);
    registrations_note(&c->registrations, SET, EPOLL_CTL_ADD, fd, events, event.data.u64);
    endwait_note(c, events);
    conn_leave(c);
    return fd;
}

static void test_epoll(void **state)
{
    int fd = registered(EPOLLRDHUP);

    (void)state;
    assert_true(endwait_epoll(SET));
    assert_false(endwait_epoll(SET + 1)); /* not there */
    answers(fd, SIZE_MAX);
    assert_false(endwait_epoll(SET));
    assert_true(has_ended(fd));
    is_given_whole(fd);
}

static void test_tell(void **state)
{
    int fd = registered(EPOLLIN | EPOLLRDHUP | EPOLLET);
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)fd };
    uint32_t events;

    (void)state;
    assert_false(endwait_epoll(SET)); /* its bytes wake it */
    answers(fd, strlen(fake_answer) - 1);
    endwait_tell(SET, &event);
    assert_int_equal(event.events, EPOLLIN);
    fake_arrives(fake_under(fd), "k", 1);
    endwait_tell(SET + 1, &event);
    assert_int_equal(event.events, EPOLLIN);
    errno = 42;
    endwait_tell(SET, &event);
    assert_int_equal(errno, 42);
    assert_int_equal(event.events, EPOLLIN | EPOLLRDHUP);
    assert_true(fake_registered(SET, fd, &events));
    is_given_whole(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_poll, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_poll_not_asked, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_ended, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_settle_left_alone, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_settle_copied, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_hangs_up, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_note, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_epoll, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_tell, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
