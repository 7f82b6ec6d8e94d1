/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Lookahead: what FIONREAD and a peek say of bytes that the client will get otherwise than they lie in the kernel. */
#include "unit/preload/fake_conn.h"

#include "preload/wire/incoming.h"
#include "preload/wire/lookahead.h"

static unsigned port = 15000;
static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port++;
    return 0;
}

static int asked_of(unsigned server)
{
    int fd = fake_open(true);

    fake_connect_to(fd, server);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    return fd;
}

static void arrives(int fd, const char *bytes)
{
    fake_arrives(fake_under(fd), bytes, strlen(bytes));
}

static ssize_t available(int fd)
{
    ssize_t n = lookahead_available(fake_enter(fd), fd);

    conn_leave(conn_find(fd));
    return n;
}

static ssize_t peeks(int fd, char *bytes, size_t len)
{
    struct conn *c = fake_enter(fd);
    struct incoming call = { .fd = fd, .peek = true };
    ssize_t n = lookahead_peek(c, &call, bytes, len);

    conn_leave(c);
    return n;
}

/* What a receive gives is what was said before. */
static void gives_as_available(int fd)
{
    char bytes[1000];
    ssize_t said = available(fd);

    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), said);
}

static void test_available(void **state)
{
    int fd = asked_of(port);

    (void)state;
    assert_int_equal(available(fd), 0);
    arrives(fd, "HTTP/1.1 2"); /* half a head: not nothing, that would be the end */
    assert_int_equal(available(fd), 1);
    arrives(fd, head + 10);
    assert_true(available(fd) > 0 && available(fd) < (ssize_t)strlen(head)); /* without what chunks need */
    gives_as_available(fd);
    arrives(fd, "5\r\nhello\r\n");
    assert_int_equal(available(fd), 5);
    gives_as_available(fd);
    arrives(fd, "3"); /* framing alone */
    assert_int_equal(available(fd), 1);
    arrives(fd, "\r\nabc\r\n");
    gives_as_available(fd);
    arrives(fd, "0\r\n\r\n"); /* the end, of which directly there is nothing to read either */
    assert_int_equal(available(fd), 0);
    fake_fail("ioctl", 1, EIO);
    assert_int_equal(available(fd), -EIO);
}

/* What passes as it is is only counted by the kernel. */
static void test_available_plain(void **state)
{
    int fd = asked_of(port);
    char bytes[300];

    (void)state;
    arrives(fd, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n12345");
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    arrives(fd, "67890");
    fake_log_begin();
    assert_int_equal(available(fd), 5);
    assert_null(strstr(kernel.log, "recv"));
}

static void test_available_ended(void **state)
{
    int fd = fake_exchange(port);

    (void)state;
    fake_log_begin();
    assert_int_equal(available(fd), 0);
    assert_null(strstr(kernel.log, "ioctl"));
}

/* Told of input and then of none, a client takes that for the end: the request goes out anew. */
static void test_available_at_end(void **state)
{
    (void)state;
    fake_closes(fake_exchange(port));
    int fd = asked_of(port);
    struct fake_socket *old = fake_under(fd);
    assert_true(conn_find(fd)->reused);
    old->fin = true;
    assert_int_equal(available(fd), 1);
    assert_ptr_not_equal(fake_under(fd), old);

    fd = asked_of(port + 5000);
    assert_false(conn_find(fd)->reused);
    fake_under(fd)->fin = true; /* the server's own end */
    assert_int_equal(available(fd), 0);
}

static void test_peek(void **state)
{
    int fd = asked_of(port);
    char bytes[1000], taken[1000];

    (void)state;
    assert_int_equal(peeks(fd, bytes, sizeof bytes), -EAGAIN);
    arrives(fd, head);
    ssize_t n = fake_receives(fd, taken, sizeof taken);
    assert_true(n > 0);
    arrives(fd, "5\r\nhello\r\n3\r\nyou\r\n");
    assert_int_equal(peeks(fd, bytes, sizeof bytes), 8);
    assert_memory_equal(bytes, "helloyou", 8);
    assert_int_equal(conn_find(fd)->reply.seen, SEEN_PEEKS);
    assert_int_equal(peeks(fd, bytes, 3), 3); /* no more than there is room for */
    assert_memory_equal(bytes, "hel", 3);
    assert_int_equal(fake_receives(fd, taken, sizeof taken), 8); /* nothing was taken */
    assert_memory_equal(taken, "helloyou", 8);
}

/* Framing has to go, or there would be no end of peeking. */
static void test_peek_framing(void **state)
{
    int fd = asked_of(port);
    char bytes[1000];

    (void)state;
    arrives(fd, head);
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    arrives(fd, "5;x=y\r\n");
    assert_int_equal(peeks(fd, bytes, sizeof bytes), -ESTALE);
    assert_int_equal(peeks(fd, bytes, sizeof bytes), -EAGAIN);
    arrives(fd, "hello");
    assert_int_equal(peeks(fd, bytes, sizeof bytes), 5);
}

/* A client that takes just what a peek has shown would get no edge for the framing behind it: the end shows at once. */
static void test_take_framing(void **state)
{
    int fd = asked_of(port);
    char bytes[1000];

    (void)state;
    arrives(fd, head);
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    arrives(fd, "5\r\nhello\r\n");
    assert_int_equal(fake_receives(fd, bytes, 5), 5);
    arrives(fd, "0\r\n\r\n");
    struct conn *c = fake_enter(fd);
    struct incoming call = { .fd = fd };
    enum conn_seen seen = c->reply.seen;
    lookahead_take_framing(c, &call);
    assert_true(conn_has_ended(c));
    assert_int_equal(c->reply.seen, seen);
    conn_leave(c);
}

/* What lies behind the framing is only looked at, and the client has seen nothing of it. */
static void test_take_framing_only(void **state)
{
    int fd = asked_of(port);
    char bytes[1000];

    (void)state;
    arrives(fd, head);
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    arrives(fd, "5\r\nhello");
    assert_int_equal(fake_receives(fd, bytes, 5), 5);
    arrives(fd, "\r\n3\r\nyou");
    struct conn *c = fake_enter(fd);
    struct incoming call = { .fd = fd };
    enum conn_seen seen = c->reply.seen;
    lookahead_take_framing(c, &call);
    assert_int_equal(c->reply.seen, seen);
    conn_leave(c);
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), 3);
    assert_memory_equal(bytes, "you", 3);
}

static void test_take_framing_error(void **state)
{
    int fd = asked_of(port);
    char bytes[1000];

    (void)state;
    arrives(fd, head);
    arrives(fd, "5\r\nhello");
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    struct conn *c = fake_enter(fd);
    struct incoming call = { .fd = fd };
    fake_under(fd)->reset = true; /* the kernel says it once */
    lookahead_take_framing(c, &call);
    assert_int_equal(c->reply.error, ECONNRESET);
    conn_leave(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_available, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_available_plain, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_available_ended, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_available_at_end, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_peek, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_peek_framing, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_take_framing, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_take_framing_only, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_take_framing_error, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
