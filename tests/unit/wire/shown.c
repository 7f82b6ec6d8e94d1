/* SPDX-License-Identifier: ISC */
/* What an observed client receives: each byte as the server sent it, once, in whatever pieces the two of them have, by
 * receives, peeks and receives into several pieces; on a connection of its own, and on a reused one whose first bytes are in
 * doubt. */
#define _GNU_SOURCE
#include "unit/preload/fake_conn.h"

static const char asks[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
static const char answers[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 12\r\n\r\nhello, world";
enum { ANSWER = sizeof answers - 1 };

static unsigned port = 6000;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port++;
    return 0;
}

/* A client that has asked, and whose answer lies in the kernel; with a parked connection, on that. */
static int asked(bool reused, bool nonblocking, size_t step)
{
    if (reused)
        fake_closes(fake_exchange(port));
    int fd = fake_open(nonblocking);
    int result = fake_connect_to(fd, port);

    assert_true(result == 0 || (nonblocking && result == -EINPROGRESS));
    assert_int_equal(fake_sends(fd, asks, strlen(asks)), (ssize_t)strlen(asks));
    assert_true(conn_is_observed(conn_find(fd)));
    assert_int_equal(conn_find(fd)->reused, reused);
    fake_under(fd)->step = step;
    return fd;
}

static ssize_t receives(int fd, const struct iovec *iov, int n, int flags)
{
    struct conn *c = fake_enter(fd);
    ssize_t result = wire_receive(c, fd, iov, n, flags);

    conn_leave(c);
    assert_int_not_equal(result, CONN_PLAIN);
    return result;
}

/* A close between two exchanges is a park. */
static void is_parked(int fd)
{
    struct fake_socket *s = fake_under(fd);

    fake_closes(fd);
    assert_int_equal(s->refs, 1);
}

/* The answer comes in two parts, cut at `at`; the client takes `piece` bytes at a time, and peeks before. */
static void play(bool reused, size_t at, size_t piece, size_t step)
{
    char bytes[ANSWER + 1], peeked[ANSWER + 1];
    int fd = asked(reused, true, step);
    struct fake_socket *s = fake_under(fd);
    size_t len = 0;

    for (int part = 0; part < 2; part++) {
        fake_arrives(s, answers + (part ? at : 0), part ? ANSWER - at : at);
        for (int spins = 0; spins < 4;) {
            struct iovec one = { bytes + len, piece < ANSWER - len ? piece : ANSWER - len }, look = { peeked, one.iov_len };
            ssize_t saw = len < ANSWER ? receives(fd, &look, 1, MSG_PEEK) : -EAGAIN;
            ssize_t n = len < ANSWER ? receives(fd, &one, 1, 0) : -EAGAIN;
            assert_true(n > 0 || n == -EAGAIN);
            if (saw > 0)
                assert_memory_equal(peeked, answers + len, (size_t)saw);
            if (n < 0)
                spins++;
            len += n > 0 ? (size_t)n : 0;
        }
    }
    assert_int_equal(len, ANSWER);
    assert_memory_equal(bytes, answers, ANSWER);
    is_parked(fd);
    fake_end(NULL);
    setup(NULL);
}

static void test_cut(void **state)
{
    static const size_t pieces[] = { 1, 2, 7, 24, 25, 26, 2000 };

    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        for (size_t at = 0; at <= ANSWER; at++)
            for (int reused = 0; reused < 2; reused++) {
                play(reused, at, pieces[i], 0);
                play(reused, at, pieces[i], 5);
            }
}

/* Several pieces: nothing shorter than the kernel would have been, and one real call where nothing is in doubt. */
static void test_pieces(void **state)
{
    char bytes[ANSWER];

    (void)state;
    for (size_t first = 0; first < ANSWER; first++)
        for (int reused = 0; reused < 2; reused++) {
            int fd = asked(reused, first % 2, 0);
            struct iovec iov[] = { { bytes, first }, { bytes + first, 0 }, { bytes + first, (ANSWER - first) / 2 },
                                   { bytes + first + (ANSWER - first) / 2, ANSWER - first - (ANSWER - first) / 2 } };
            memset(bytes, 0, sizeof bytes);
            fake_arrives(fake_under(fd), answers, ANSWER);
            unsigned before = kernel.calls;
            ssize_t n = receives(fd, iov, 4, 0);
            if (n != ANSWER)
                fail_msg("first %zu, reused %d: %zd\n%s", first, reused, n, kernel.log);
            assert_memory_equal(bytes, answers, ANSWER);
            if (!reused)
                assert_in_range(kernel.calls - before, 1, 3); /* a call of the fake kernel for each piece that has room */
            is_parked(fd);
            fake_end(NULL);
            setup(NULL);
        }
}

/* MSG_TRUNC discards, MSG_WAITALL fills; both are followed. */
static void test_flags(void **state)
{
    char bytes[ANSWER];

    (void)state;
    int fd = asked(false, false, 5);
    fake_arrives(fake_under(fd), answers, ANSWER);
    struct iovec some = { NULL, 25 }, rest = { bytes, ANSWER - 25 };
    ssize_t n = 0;
    while (some.iov_len && (n = receives(fd, &some, 1, MSG_TRUNC)) > 0)
        some.iov_len -= (size_t)n;
    assert_int_equal(some.iov_len, 0);
    assert_int_equal(receives(fd, &rest, 1, MSG_WAITALL), ANSWER - 25);
    assert_memory_equal(bytes, answers + 25, ANSWER - 25);
    is_parked(fd);
}

/* A reset behind each byte: what had come is delivered, then the error, once, then the end; or, on a reused connection from
 * which nothing had come, the request goes out on a fresh one. */
static void test_reset(void **state)
{
    (void)state;
    for (size_t at = 0; at < ANSWER; at++)
        for (int i = 0; i < 4; i++) {
            bool reused = i & 1;
            char bytes[ANSWER];
            struct iovec pieces[] = { { bytes, 9 }, { bytes + 9, ANSWER - 9 } };
            int fd = asked(reused, true, 0);
            struct fake_socket *s = fake_under(fd);
            size_t len = 0;
            ssize_t n;
            fake_arrives(s, answers, at);
            s->reset = true;
            while ((n = len == 0 && i & 2 ? receives(fd, pieces, 2, 0)
                                          : receives(fd, &(struct iovec){ bytes + len, ANSWER - len }, 1, 0)) > 0)
                len += (size_t)n;
            if (reused && at == 0) {
                assert_int_equal(n, -EAGAIN);
                assert_ptr_not_equal(fake_under(fd), s);
                assert_memory_equal(fake_under(fd)->out, asks, strlen(asks));
            } else {
                assert_int_equal(len, at);
                assert_memory_equal(bytes, answers, at);
                if (n != -ECONNRESET)
                    fail_msg("at %zu, %d: %zd", at, i, n);
                assert_int_equal(receives(fd, &(struct iovec){ bytes, 1 }, 1, 0), 0);
            }
            fake_closes(fd);
            assert_int_equal(s->refs, 0); /* not parked */
            fake_end(NULL);
            setup(NULL);
        }
}

/* The program does something that cannot be followed, while the beginning of an answer is held that was in doubt: not a byte is
 * lost, and libc alone has the socket when the client has got what was held. */
static void test_left_alone(void **state)
{
    (void)state;
    for (size_t at = 1; at < 9; at++) /* "HTTP/1.1 " is no answer yet */
        for (int first = 0; first < 2; first++) {
            char bytes[ANSWER];
            struct iovec one = { bytes, ANSWER };
            int fd = asked(true, true, 0);
            struct fake_socket *s = fake_under(fd);
            fake_arrives(s, answers, at);
            assert_int_equal(receives(fd, &one, 1, 0), -EAGAIN);
            assert_int_equal(s->in_at, s->in_len); /* it is held */
            if (first) /* the rest is there before */
                fake_arrives(s, answers + at, ANSWER - at);
            struct conn *c = fake_enter(fd);
            closing_leave_alone(c, fd, REASON_odd_descriptor);
            conn_leave(c);
            ssize_t n = receives(fd, &one, 1, 0);
            assert_int_equal(n, first ? ANSWER : at);
            assert_null(conn_find(fd));
            if (!first) {
                fake_arrives(s, answers + at, ANSWER - at);
                n += fake_receives(fd, bytes + at, ANSWER - at);
            }
            assert_int_equal(n, ANSWER);
            assert_memory_equal(bytes, answers, ANSWER);
            real.close(fd);
            assert_int_equal(s->refs, 0); /* not parked */
            fake_end(NULL);
            setup(NULL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cut, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_pieces, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_flags, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_reset, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_left_alone, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
