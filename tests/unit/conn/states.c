#define _GNU_SOURCE
/* The states of a conn: each move that is allowed, each that is not; numbers, handlers, threads that leave. */
#include "unit/preload/fake_conn.h"

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

enum { STATES = CONN_ENDED + 1 };

/* Row: from; column: to. */
static const char moves[STATES][STATES + 1] = {
    [CONN_FREE] = ".N.....",
    [CONN_NEW] = "F.FL...",
    [CONN_FRESH] = "FN..XO.",
    [CONN_LEASED] = "F.F.XO.",
    [CONN_EXCHANGE] = "F.....E",
    [CONN_OBSERVED] = "F.....E",
    [CONN_ENDED] = "F......",
};

static __attribute__((noinline)) bool is_refused(struct conn *c, enum conn_state to)
{
    return FAKE_ASSERTS(conn_set_state(c, to));
}

static void test_moves(void **state)
{
    (void)state;
    int fd = fake_open(false);
    struct conn *c = fake_enter(fd);
    for (int from = 0; from < STATES; from++)
        for (int to = 0; to < STATES; to++) {
            c->state = (enum conn_state)from;
            bool refused = is_refused(c, (enum conn_state)to);
            if (refused != (moves[from][to] == '.'))
                fail_msg("from %d to %d: %d", from, to, refused);
            assert_int_equal(c->state, refused ? from : to);
        }
    c->state = CONN_NEW;
    conn_leave(c);
}

/* What has been waited for, or tried, is over with the exchange. */
static void test_over(void **state)
{
    static const enum conn_state ends[] = { CONN_ENDED, CONN_FREE };

    (void)state;
    for (int i = 0; i < 2; i++) {
        int fd = fake_open(false);
        struct conn *c = fake_enter(fd);
        c->state = CONN_EXCHANGE;
        c->trial = TRIAL_SECOND;
        c->reused = true;
        conn_recount(c);
        assert_int_equal(conn_borrowed, 1);
        conn_set_state(c, ends[i]);
        assert_int_equal(c->trial, TRIAL_NONE);
        assert_int_equal(conn_borrowed, 0);
        c->state = CONN_ENDED;
        conn_leave(c);
        fake_closes(fd);
    }
}

/* A reused connection is borrowed while it lies under the fd, in these states and with these flags only. */
static void test_borrowed(void **state)
{
    (void)state;
    int fd = fake_open(false);
    struct conn *c = fake_enter(fd);
    for (int s = CONN_NEW; s < STATES; s++)
        for (int reused = 0; reused < 2; reused++)
            for (int owed = 0; owed < 2; owed++) {
                c->state = (enum conn_state)s;
                c->reused = reused;
                c->end_owed = owed;
                conn_recount(c);
                bool in_use = s == CONN_LEASED || s == CONN_EXCHANGE || s == CONN_OBSERVED || owed;
                assert_int_equal(c->borrowed, reused && in_use);
                assert_int_equal(conn_borrowed, c->borrowed);
            }
    c->reused = c->end_owed = false;
    conn_recount(c);
    c->state = CONN_NEW;
    conn_leave(c);
}

static void test_numbers(void **state)
{
    (void)state;
    int fd = fake_open(false), copies[CONN_FDS];
    struct conn *c = fake_enter(fd);
    for (int i = 1; i < CONN_FDS; i++) {
        copies[i] = fake_install(fake_under(fd), FAKE_FIRST, FAKE_NUMBERS, false);
        assert_true(conn_add_fd(c, copies[i], i % 2));
        assert_ptr_equal(conn_find(copies[i]), c);
    }
    assert_false(conn_add_fd(c, 500, false));
    assert_false(conn_add_fd(c, CONN_TABLE_SIZE, false));
    assert_null(conn_find(500));
    conn_drop_fd(c, fd);
    assert_null(conn_find(fd));
    assert_int_equal(conn_number(c, copies[3]), copies[3]);
    assert_true(conn_number(c, fd) != fd && conn_owns(c, conn_number(c, fd)));
    conn_leave(c);
    for (int i = 1; i < CONN_FDS; i++)
        fake_closes(copies[i]);
    assert_int_equal(conn_number(c, fd), -1);
    assert_int_equal(c->state, CONN_FREE);
    real.close(fd);
}

/* A number that the kernel gives out anew was closed where nobody saw it. */
static void test_number_is_new(void **state)
{
    (void)state;
    int fd = fake_open(false);
    int copy = fake_install(fake_under(fd), FAKE_FIRST, FAKE_NUMBERS, false);
    struct conn *stale = fake_enter(fd);
    conn_add_fd(stale, copy, false);
    conn_leave(stale);
    real.close(fd);
    int again = fake_open(false);
    assert_int_equal(again, fd);
    assert_true(conn_find(fd) && conn_find(fd) != stale);
    assert_true(stale->fds.count == 1 && conn_owns(stale, copy));
    real.close(copy);
    unsigned generation = stale->fds.generation;
    assert_int_equal(fake_open(false), copy);
    assert_true(conn_find(copy) == stale && stale->fds.generation != generation); /* used again, and new */
    assert_non_null(fake_under(fd)); /* nothing is done to what lies there now */

    int private = private_dup(fd);
    real.close(private);
    real.dup3(fd, private, 0);
    assert_non_null(conn_create(private, false));
    assert_false(private_is(private));
}

/* A signal handler that interrupts the holder closes the number; it leaves when the conn does. */
static void test_closed_in_handler(void **state)
{
    (void)state;
    int fd = fake_open(false), other = fake_open(false);
    struct conn *c = fake_enter(fd);
    assert_null(conn_enter(fd, NEED_ALL)); /* in the handler */
    assert_int_equal(conn_answer_busy(fd, 0), -EINTR);
    assert_int_equal(conn_answer_busy(fd, MSG_DONTWAIT), -EAGAIN);
    assert_int_equal(conn_answer_busy(other, 0), CONN_PLAIN);
    assert_false(conn_close_from_handler(other));
    assert_true(conn_close_from_handler(fd));
    assert_null(conn_find(fd));
    conn_leave(c);
    assert_int_equal(c->state, CONN_FREE);
    real.close(fd);
}

/* It has left by longjmp: after a hundred calls the real one is made. */
static void test_holder_is_gone(void **state)
{
    (void)state;
    int fd = fake_open(true), plain = 0;
    struct conn *c = fake_enter(fd);
    for (int i = 0; i < 200; i++)
        plain += conn_answer_busy(fd, 0) == CONN_PLAIN;
    assert_int_equal(plain, 100);
    conn_leave(c);
}

/* While a thread is outside, another one closes the last number: the conn stays until it comes back. */
static void test_closed_outside(void **state)
{
    (void)state;
    int fd = fake_open(false);
    struct conn *c = fake_enter(fd);
    conn_outside_begin(c);
    struct conn *other = fake_enter(fd);
    assert_ptr_equal(other, c);
    other->fds.closed = true;
    conn_drop_fd(other, fd);
    conn_leave(other);
    assert_true(c->state != CONN_FREE);
    conn_outside_end(c);
    assert_int_equal(conn_lost(c), -EBADF);
    conn_leave(c);
    assert_int_equal(c->state, CONN_FREE);
    real.close(fd);
}

static void test_bypass(void **state)
{
    (void)state;
    int fd = fake_open(false), copy = fake_install(fake_under(fd), FAKE_FIRST, FAKE_NUMBERS, false);
    struct conn *c = fake_enter(fd);
    conn_add_fd(c, copy, false);
    c->fds.private_fd = private_dup(fd);
    int own = c->fds.private_fd;
    conn_bypass(c, REASON_duplicated);
    assert_null(conn_find(fd));
    assert_null(conn_find(copy));
    assert_null(fake_under(own));
    assert_int_equal(c->fds.private_fd, -1);
    conn_leave(c);
    assert_int_equal(c->state, CONN_FREE);
    assert_true(fake_under(fd) && fake_under(copy)); /* libc has them */
    real.close(fd);
    real.close(copy);
}

/* Above the table nothing is tracked, and nothing breaks. */
static void test_high_number(void **state)
{
    (void)state;
    assert_null(conn_create(CONN_TABLE_SIZE, false));
    assert_null(conn_create(-1, false));
    assert_null(conn_find(CONN_TABLE_SIZE));
    assert_null(conn_enter(CONN_TABLE_SIZE, NEED_ALL));
    assert_null(conn_enter(-1, NEED_ALL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_moves, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_over, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_borrowed, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_numbers, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_number_is_new, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_closed_in_handler, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_holder_is_gone, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_closed_outside, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_bypass, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_high_number, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
