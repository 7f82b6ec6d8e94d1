/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Behind the head: what is held back until the head of the answer is there, and what of it at the end.  Bodies: wire/cases.c. */
#include "unit/preload/fake_conn.h"

#include "preload/conn/withheld.h"
#include "preload/wire/behind.h"

static unsigned port = 17000;
static const char second[] = "GET /2 HTTP/1.0\r\nHost: h\r\n\r\n";

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port++;
    return 0;
}

static int asked(bool nonblocking, const char *request)
{
    int fd = fake_open(nonblocking);

    fake_connect_to(fd, port);
    assert_int_equal(fake_sends(fd, request, strlen(request)), (ssize_t)strlen(request));
    return fd;
}

static bool went_out(int fd, const char *bytes)
{
    return memmem(fake_under(fd)->out, fake_under(fd)->out_len, bytes, strlen(bytes)) != NULL;
}

static size_t held(int fd)
{
    return hold_len(&conn_find(fd)->request.behind);
}

/* A second request of a one-shot client: its server would never have read it, or has it read after its answer. */
static void test_held_back(void **state)
{
    int fd = asked(true, fake_request);

    (void)state;
    size_t before = fake_under(fd)->out_len;
    assert_int_equal(fake_sends(fd, second, strlen(second)), (ssize_t)strlen(second));
    assert_int_equal(fake_under(fd)->out_len, before);
    assert_int_equal(held(fd), strlen(second));
    assert_int_equal(fake_sends(fd, "x", 1), 1); /* in its order */
    assert_int_equal(held(fd), strlen(second) + 1);
}

/* The head of the answer decides: this server would have closed, nobody gets what was sent behind. */
static void test_dropped(void **state)
{
    int fd = asked(true, fake_request);
    char bytes[300];

    (void)state;
    assert_int_equal(fake_sends(fd, second, strlen(second)), (ssize_t)strlen(second));
    fake_arrives(fake_under(fd), fake_answer, strlen(fake_answer) - 1);
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    assert_int_equal(held(fd), 0);
    assert_false(went_out(fd, "GET /2"));
}

/* No more than there is room for; a send that may not wait says so, after it has rested. */
static void test_full(void **state)
{
    enum { BEHIND_MAX = 65536, PIECE = 40000 };
    static char piece[PIECE];
    int fd = asked(true, fake_request);
    uint64_t before = fake_ms;

    (void)state;
    memset(piece, 'x', sizeof piece);
    int n = snprintf(piece, sizeof piece, "%.*s", (int)strlen(second) - 4, second); /* a head without an end: it stays as it is */
    piece[n] = 'x';
    piece[500] = '\r';
    piece[501] = '\n';
    assert_int_equal(fake_sends(fd, piece, sizeof piece), (ssize_t)sizeof piece);
    assert_int_equal(fake_sends(fd, piece, sizeof piece), BEHIND_MAX - PIECE);
    assert_int_equal(held(fd), BEHIND_MAX);
    assert_int_equal(fake_sends(fd, piece, sizeof piece), -EAGAIN);
    assert_true(fake_ms > before);
}

static void test_end(void **state)
{
    int fd = asked(true, fake_request);
    struct conn *c = fake_enter(fd);

    (void)state;
    c->after.write_shut = true;
    behind_end(c);
    assert_int_equal(c->request.withheld_ms, fake_ms); /* nothing is known of its server */
    assert_false(fake_under(fd)->write_shut);
    withheld_over(c);
    evidence_note(&c->to, EVIDENCE_REUSED);
    behind_end(c); /* a server that has answered two requests does not wait for the end of one */
    assert_int_equal(c->request.withheld_ms, 0);
    assert_false(fake_under(fd)->write_shut);
    conn_leave(c);
}

/* Closed: what can be no request of its own goes out; another request does not. */
static void test_close(void **state)
{
    int fd = asked(true, fake_request);
    struct conn *c = fake_enter(fd);

    (void)state;
    hold_append(&c->request.behind, second, strlen(second));
    behind_close(c, fd);
    assert_int_equal(hold_len(&c->request.behind), 0);
    assert_false(went_out(fd, "GET /2"));
    hold_append(&c->request.behind, "\r\n", 2);
    c->after.write_shut = true; /* it has said that nothing follows */
    size_t before = fake_under(fd)->out_len;
    behind_close(c, fd);
    assert_int_equal(fake_under(fd)->out_len, before);
    assert_int_equal(hold_len(&c->request.behind), 0);
    conn_leave(c);
}

static void test_odd(void **state)
{
    int fd = asked(true, fake_request);
    struct conn *c = fake_enter(fd);

    (void)state;
    assert_int_equal(behind_send_odd(c, 0), CONN_PLAIN);
    c->after.end_asked = true; /* the library has ended the sending side: the client need not know */
    assert_int_equal(behind_send_odd(c, 3), 3);
    fake_under(fd)->reset = true; /* the kernel says what it is */
    assert_int_equal(behind_send_odd(c, 3), CONN_PLAIN);
    fake_under(fd)->reset = false;
    c->after.write_shut = true;
    assert_int_equal(behind_send_odd(c, 3), CONN_PLAIN);
    c->after.write_shut = false;
    c->unparkable = REASON_half_closed;
    assert_int_equal(behind_send_odd(c, 3), CONN_PLAIN);
    conn_leave(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_held_back, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_dropped, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_full, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_end, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_close, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_odd, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
