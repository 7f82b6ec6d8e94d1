/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* An exchange in the smallest parts: a kernel that takes and gives a byte at a time, clients that read a byte at a time, and
 * each call failing in between. */
#include "unit/preload/fake_conn.h"

static unsigned port = 5000;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port++;
    return 0;
}

/* A client that does not block: sends what was not taken again.  Its bytes count once. */
static void sends_all(int fd, struct fake_socket *s, size_t room)
{
    size_t at = 0, len = strlen(fake_request);

    for (int tries = 0; at < len; tries++) {
        assert_true(tries < 1000);
        s->room = room;
        ssize_t n = fake_sends(fd, fake_request + at, len - at);
        assert_true(n == -EAGAIN || (n > 0 && (size_t)n <= len - at));
        at += n > 0 ? (size_t)n : 0;
    }
    s->room = SIZE_MAX;
}

/* What the client reads, in pieces of `piece` bytes, until the end; -errno.  It comes again where poll says that there is
 * something. */
static ssize_t reads_all(int fd, size_t piece, char *out, size_t *len)
{
    ssize_t n;

    for (int spins = 0; (n = fake_receives(fd, out + *len, piece)) > 0 || (n == -EAGAIN && fake_ready(fd, POLLIN));
         *len += n > 0 ? (size_t)n : 0)
        assert_true(n > 0 || ++spins < 10);
    return n;
}

static const char seen[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

static bool is_answer(const char *bytes, size_t len)
{
    /* Fields may have another order. */
    return len == strlen(seen) && memmem(bytes, len, "Connection: close\r\n", 19) && memcmp(bytes + len - 6, "\r\n\r\nok", 6) == 0;
}

static void test_room(void **state)
{
    char bytes[400];

    (void)state;
    for (size_t room = 1; room <= strlen(fake_adapted) + 1; room++) {
        int fd = fake_open(true);
        struct fake_socket *s = fake_under(fd);
        fake_connect_to(fd, port);
        sends_all(fd, s, room);
        assert_int_equal(s->out_len, strlen(fake_adapted));
        assert_memory_equal(s->out, fake_adapted, s->out_len);
        size_t len = 0;
        fake_arrives(s, fake_answer, strlen(fake_answer));
        assert_int_equal(reads_all(fd, sizeof bytes, bytes, &len), 0);
        assert_true(is_answer(bytes, len));
        fake_end(NULL);
        setup(NULL);
    }
}

/* The client's pieces, and the kernel's. */
static void test_pieces(void **state)
{
    static const size_t sizes[] = { 1, 2, 3, 7, 19, 20, 40, 400 };
    enum { SIZES = sizeof sizes / sizeof *sizes };
    char bytes[800];

    (void)state;
    for (int i = 0; i < SIZES * SIZES; i++) {
        int fd = fake_open(true);
        struct fake_socket *s = fake_under(fd);
        fake_connect_to(fd, port);
        fake_sends(fd, fake_request, strlen(fake_request));
        s->step = sizes[i % SIZES];
        size_t len = 0;
        fake_arrives(s, fake_answer, strlen(fake_answer));
        assert_int_equal(reads_all(fd, sizes[i / SIZES], bytes, &len), 0);
        if (!is_answer(bytes, len))
            fail_msg("kernel %zu, client %zu: %.*s", sizes[i % SIZES], sizes[i / SIZES], (int)len, bytes);
        fake_closes(fd);
        assert_int_equal(s->refs, 1); /* parked */
        fake_end(NULL);
        setup(NULL);
    }
}

/* Each call fails once.  The client gets the whole answer and an end, or a part of it and an error, as directly; no byte twice
 * and none that is not the server's; the server gets one request. */
static void test_each_call_fails(void **state)
{
    static const int errors[] = { ENOMEM, EINTR };
    char bytes[800];
    unsigned whole = 0, tries = 0;

    (void)state;
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        bool failed = true;
        for (unsigned nth = 1; failed; nth++, tries++) {
            size_t len = 0;
            int fd = fake_open(true);
            struct fake_socket *s = fake_under(fd);
            fake_connect_to(fd, port);
            s->step = 10;
            fake_fail(FAKE_ANY, nth, errors[e]);
            ssize_t sent = fake_sends(fd, fake_request, strlen(fake_request)), n = 0;
            if (sent == -EINTR || sent == -ENOMEM)
                sent = fake_sends(fd, fake_request, strlen(fake_request));
            if (sent == (ssize_t)strlen(fake_request)) {
                assert_int_equal(s->out_len, strlen(fake_adapted));
                fake_arrives(s, fake_answer, strlen(fake_answer));
                for (int again = 0; again < 3 && (n = reads_all(fd, 30, bytes, &len)) < 0; again++)
                    ;
            }
            failed = kernel.failed;
            fake_fail_nothing();
            if (n == 0 && sent > 0) {
                assert_true(is_answer(bytes, len));
                whole++;
            }
            assert_true(len <= strlen(seen));
            fake_end(NULL);
            setup(NULL);
        }
    }
    assert_in_range(tries, 20, 300);
    assert_in_range(whole, tries / 2, tries);
}

/* A reset behind each byte of the answer: what had come is delivered, then the error, once, then the end. */
static void test_reset(void **state)
{
    const size_t whole = strlen(fake_answer), head = whole - 2;
    char bytes[400];

    (void)state;
    for (size_t i = 1; i < whole; i++) {
        size_t len = 0;
        int fd = fake_open(true);
        struct fake_socket *s = fake_under(fd);
        fake_connect_to(fd, port);
        fake_sends(fd, fake_request, strlen(fake_request));
        fake_arrives(s, fake_answer, i);
        s->reset = true;
        assert_int_equal(reads_all(fd, 7, bytes, &len), -ECONNRESET);
        if (i < head) {
            assert_int_equal(len, i);
            assert_memory_equal(bytes, fake_answer, len);
        } else {
            assert_int_equal(len, strlen(seen) - (whole - i));
        }
        assert_int_equal(reads_all(fd, 7, bytes, &len), 0);
        fake_closes(fd);
        assert_int_equal(s->refs, 0); /* not parked */
        fake_end(NULL);
        setup(NULL);
    }
}

/* A server that hangs up on what was made HTTP/1.1 of the request: the client's own bytes on a fresh connection. */
static void test_reset_at_once(void **state)
{
    char bytes[400];
    size_t len = 0;

    (void)state;
    int fd = fake_open(true);
    struct fake_socket *s = fake_under(fd);
    fake_connect_to(fd, port);
    fake_sends(fd, fake_request, strlen(fake_request));
    s->reset = true;
    assert_int_equal(reads_all(fd, sizeof bytes, bytes, &len), -EAGAIN);
    assert_int_equal(len, 0);
    assert_int_equal(s->refs, 0);
    s = fake_under(fd);
    assert_int_equal(s->out_len, strlen(fake_request));
    assert_memory_equal(s->out, fake_request, s->out_len);
    fake_arrives(s, fake_answer, strlen(fake_answer));
    s->fin = true;
    assert_int_equal(reads_all(fd, sizeof bytes, bytes, &len), 0);
    assert_memory_equal(bytes, fake_answer, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_room, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_pieces, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_reset, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_reset_at_once, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_each_call_fails, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
