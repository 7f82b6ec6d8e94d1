/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* The states of a conn: each move that is allowed, each that is not; numbers, handlers, threads that leave. */
#include "unit/preload/fake_conn.h"

#include "preload/fds/socket.h"
#include "preload/wire/readiness_kinds.h"
#include "preload/wire/secured.h"

#include <poll.h>

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

/* Row: from; column: to.  F free; U unready, N new, T touched; f fresh; l leased, unregistered, L leased; x exchange,
 * partly sent, X exchange; o observed, partly sent, O observed; S secured; e ended, unswapped, E ended. */
static const char moves[CONN_STATES][CONN_STATES + 1] = {
    [CONN_FREE] = ".UN...........",
    [CONN_NEW_UNREADY] = "F.NT..L.......",
    [CONN_NEW] = "F..T..L.......",
    [CONN_NEW_TOUCHED] = "F...f.L.......",
    [CONN_FRESH] = "F..T...xXoOS..",
    [CONN_LEASED_UNREGISTERED] = "F.....L.......",
    [CONN_LEASED] = "F...fl.xXoOS..",
    [CONN_EXCHANGE_PARTLY_SENT] = "F.......X....E",
    [CONN_EXCHANGE] = "F...........eE",
    [CONN_OBSERVED_PARTLY_SENT] = "F.........O..E",
    [CONN_OBSERVED] = "F............E",
    [CONN_SECURED] = "F...........eE",
    [CONN_ENDED_UNSWAPPED] = "F............E",
    [CONN_ENDED] = "F.............",
};

static __attribute__((noinline)) bool is_refused(struct conn *c, enum conn_state to)
{
    return FAKE_ASSERTS(conn_set_state(c, to));
}

static bool is_deferred(const struct conn *c)
{
    return c->state == CONN_LEASED_UNREGISTERED || c->state == CONN_ENDED_UNSWAPPED;
}

/* Each move that is made counts what is deferred then. */
static void test_moves(void **state)
{
    (void)state;
    int fd = fake_open(false);
    struct conn *c = fake_enter(fd);
    for (int from = 0; from < CONN_STATES; from++)
        for (int to = 0; to < CONN_STATES; to++) {
            c->state = (enum conn_state)from;
            conn_deferred = is_deferred(c);
            bool refused = is_refused(c, (enum conn_state)to);
            if (refused != (moves[from][to] == '.'))
                fail_msg("from %s to %s: %d", conn_state_name((enum conn_state)from),
                         conn_state_name((enum conn_state)to), refused);
            assert_int_equal(conn_may_become((enum conn_state)from, (enum conn_state)to), !refused);
            assert_int_equal(c->state, refused ? from : to);
            assert_int_equal(conn_deferred, is_deferred(c));
        }
    conn_deferred = 0;
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

/* A reused connection is borrowed while it lies under the fd, in these states only. */
static void test_borrowed(void **state)
{
    (void)state;
    int fd = fake_open(false);
    struct conn *c = fake_enter(fd);
    for (int s = CONN_NEW_UNREADY; s < CONN_STATES; s++)
        for (int reused = 0; reused < 2; reused++) {
            c->state = (enum conn_state)s;
            c->reused = reused;
            conn_recount(c);
            bool in_use = conn_is_leased(c) || conn_is_asked(c) || s == CONN_ENDED_UNSWAPPED;
            bool blocks = conn_is_exchange(c) && !c->nonblocking;
            assert_int_equal(c->borrowed, in_use && (reused || blocks));
            assert_int_equal(conn_borrowed, c->borrowed);
        }
    c->reused = false;
    conn_recount(c);
    c->state = CONN_NEW;
    conn_leave(c);
}

/* ---- what each state allows: the columns of states.def ---- */

enum send { send_LIBC, send_HEAD, send_REST, send_BODY, send_SHOWN, send_ONCE };
enum receive { receive_LIBC, receive_NOTHING, receive_RESPONSE, receive_SHOWN, receive_END };

static const enum send sends[] = {
#define STATE(name, missing, send, receive, moves) [CONN_##name] = send_##send,
#include "preload/conn/states.def"
#undef STATE
};

static const enum receive receives[] = {
#define STATE(name, missing, send, receive, moves) [CONN_##name] = receive_##receive,
#include "preload/conn/states.def"
#undef STATE
};

static const char observed_request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
static unsigned place = 7000;

/* Of a client whose socket has room for a part of its request's head. */
static void send_in_part(int fd, const char *request)
{
    fake_under(fd)->room = 20;
    assert_int_equal(fake_sends(fd, request, strlen(request)), (ssize_t)strlen(request) - 1);
}

static int open_spare(void)
{
    int fd = real.socket(AF_INET, SOCK_STREAM, 0);
    struct conn *c = conn_create(fd, false, CONN_NEW_UNREADY);

    c->to.family = AF_INET;
    c->fds.private_fd = private_dup(fd);
    c->opening.spare.cookie = (uint32_t)socket_cookie(fd);
    return fd;
}

static int connected(bool nonblocking, const char *request)
{
    int fd = fake_open(nonblocking);

    fake_connect_to(fd, place);
    if (request)
        assert_int_equal(fake_sends(fd, request, strlen(request)), (ssize_t)strlen(request));
    return fd;
}

static int leased(bool unregistered)
{
    struct epoll_event event = { .events = EPOLLOUT };

    fake_closes(fake_exchange(place));
    int fd = connected(true, NULL);
    if (unregistered) {
        deferred_is_set(90);
        struct conn *c = fake_enter(fd);
        assert_true(deferred_add(c, 90, fd, &event));
        conn_leave(c);
    }
    return fd;
}

static int entered(int fd)
{
    conn_leave(conn_enter(fd, NEED_ALL));
    return fd;
}

static int in_part(const char *request)
{
    int fd = connected(true, NULL);

    send_in_part(fd, request);
    return fd;
}

static int secured(int fd)
{
    void *kept = NULL;

    assert_int_equal(secured_find(fd, &kept), SECURE_OWN);
    assert_null(kept);
    assert_int_equal(secured_own(fd), 0);
    return fd;
}

/* A number in this state, reached as a client does. */
static int bring_to(enum conn_state state)
{
    place++;
    switch (state) {
    case CONN_NEW_UNREADY:
        return open_spare();
    case CONN_NEW:
        return fake_open(false);
    case CONN_NEW_TOUCHED:
        return entered(fake_open(false));
    case CONN_FRESH:
        return connected(true, NULL);
    case CONN_LEASED_UNREGISTERED:
    case CONN_LEASED:
        return leased(state == CONN_LEASED_UNREGISTERED);
    case CONN_EXCHANGE_PARTLY_SENT:
        return in_part(fake_request);
    case CONN_EXCHANGE:
        return connected(true, fake_request);
    case CONN_OBSERVED_PARTLY_SENT:
        return in_part(observed_request);
    case CONN_OBSERVED:
        return connected(true, observed_request);
    case CONN_SECURED:
        return secured(connected(true, NULL));
    case CONN_ENDED_UNSWAPPED:
        return fake_exchange(place);
    case CONN_ENDED:
        return entered(fake_exchange(place));
    default:
        return -1;
    }
}

static ssize_t send_by_us(int fd, const char *bytes)
{
    struct iovec piece = { (void *)(uintptr_t)bytes, strlen(bytes) };
    struct conn *c = conn_enter(fd, NEED_ALL);
    ssize_t result = wire_send(c, fd, &piece, 1, 0);

    conn_leave(c);
    return result;
}

static ssize_t receive_by_us(int fd, char *bytes, size_t len)
{
    struct iovec piece = { bytes, len };
    struct conn *c = fake_enter(fd);
    conn_make_ready(c, NEED_ALL_BUT_END);
    ssize_t result = wire_receive(c, fd, &piece, 1, 0);

    conn_leave(c);
    return result;
}

static bool has_sent(const struct fake_socket *s, size_t from, const char *bytes)
{
    return s->out_len == from + strlen(bytes) && memcmp(s->out + from, bytes, strlen(bytes)) == 0;
}

static void sends_so(int fd, enum send send)
{
    struct fake_socket *s = fake_under(fd);
    size_t before = s->out_len;

    switch (send) {
    case send_LIBC:
        assert_int_equal(send_by_us(fd, "x"), CONN_PLAIN);
        break;
    case send_HEAD:
        assert_int_equal(send_by_us(fd, fake_request), (ssize_t)strlen(fake_request));
        assert_true(has_sent(s, before, fake_adapted));
        assert_true(conn_is_exchange(conn_find(fd)));
        return;
    case send_REST:
        s->room = SIZE_MAX;
        assert_int_equal(send_by_us(fd, "\n"), 1);
        assert_true(has_sent(s, 0, conn_is_exchange(conn_find(fd)) ? fake_adapted : observed_request));
        assert_false(conn_head_partly_sent(conn_find(fd)));
        return;
    case send_BODY: /* there is none: it waits for the head of the answer */
        assert_int_equal(send_by_us(fd, "x"), 1);
        break;
    case send_SHOWN:
        assert_int_equal(send_by_us(fd, observed_request), (ssize_t)strlen(observed_request));
        assert_true(has_sent(s, before, observed_request));
        assert_int_equal(conn_find(fd)->x.requests, 2);
        return;
    case send_ONCE:
        assert_int_equal(send_by_us(fd, "x"), 1);
        assert_int_equal(send_by_us(fd, "x"), CONN_SIGPIPE);
        break;
    }
    assert_int_equal(s->out_len, before);
}

static void receives_so(int fd, enum receive receive)
{
    struct fake_socket *s = fake_under(fd);
    char bytes[300] = { 0 };

    switch (receive) {
    case receive_LIBC:
        fake_arrives(s, fake_answer, strlen(fake_answer));
        assert_int_equal(receive_by_us(fd, bytes, sizeof bytes), CONN_PLAIN);
        assert_int_equal(s->in_at, 0);
        break;
    case receive_NOTHING:
        assert_int_equal(receive_by_us(fd, bytes, sizeof bytes), -EAGAIN);
        s->fin = true; /* an idle connection may end */
        assert_int_equal(receive_by_us(fd, bytes, sizeof bytes), -EAGAIN);
        assert_int_equal(conn_find(fd)->state, CONN_FRESH);
        assert_true(fake_under(fd) != s);
        break;
    case receive_RESPONSE:
        fake_arrives(s, fake_answer, strlen(fake_answer));
        assert_true(receive_by_us(fd, bytes, sizeof bytes) > 0);
        assert_non_null(strstr(bytes, "Connection: close"));
        assert_true(conn_has_ended(conn_find(fd)));
        break;
    case receive_SHOWN:
        fake_arrives(s, fake_answer, strlen(fake_answer));
        assert_int_equal(receive_by_us(fd, bytes, sizeof bytes), (ssize_t)strlen(fake_answer));
        assert_string_equal(bytes, fake_answer);
        assert_int_equal(exchange_outstanding(&conn_find(fd)->x), 0);
        break;
    case receive_END:
        assert_int_equal(receive_by_us(fd, bytes, sizeof bytes), 0);
        break;
    }
}

static void test_table(void **state)
{
    for (int s = CONN_NEW_UNREADY; s < CONN_STATES; s++)
        for (int part = 0; part < 2; part++) {
            int fd = bring_to((enum conn_state)s);
            assert_string_equal(conn_state_name(conn_find(fd)->state), conn_state_name((enum conn_state)s));
            if (part == 0)
                sends_so(fd, sends[s]);
            else
                receives_so(fd, receives[s]);
            fake_end(state);
            setup(state);
        }
}

/* What is missing is done before a call that needs it, and nothing else is. */
static const enum conn_missing missing[] = {
#define STATE(name, missing, send, receive, moves) [CONN_##name] = MISSING_##missing,
#include "preload/conn/states.def"
#undef STATE
};

static void test_missing(void **state)
{
    static const enum conn_state after[][5] = {
        [NEED_AS_IS] = { 0 },
        [NEED_ALL_BUT_END] = { [MISSING_spare] = CONN_NEW, [MISSING_register] = CONN_LEASED },
        [NEED_ALL] = { 0, CONN_NEW_TOUCHED, CONN_ENDED, CONN_NEW_TOUCHED, CONN_LEASED },
    };

    for (int s = CONN_NEW_UNREADY; s < CONN_STATES; s++)
        for (enum need need = NEED_AS_IS; need <= NEED_ALL; need++) {
            int fd = bring_to((enum conn_state)s);
            conn_leave(conn_enter(fd, need));
            enum conn_state to = after[need][missing[s]];
            assert_int_equal(conn_find(fd)->state, to ? (int)to : s);
            fake_end(state);
            setup(state);
        }
}

/* The server answers before it has got the head whole, and stays open: it takes what comes next for the rest of it. */
static void test_answered_in_part(void **state)
{
    char bytes[300];

    (void)state;
    for (int observed = 0; observed < 2; observed++) {
        int fd = bring_to(observed ? CONN_OBSERVED_PARTLY_SENT : CONN_EXCHANGE_PARTLY_SENT);
        struct fake_socket *s = fake_under(fd);
        fake_arrives(s, fake_answer, strlen(fake_answer));
        assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
        if (observed) { /* the rest still goes out */
            s->room = 3;
            assert_int_equal(fake_sends(fd, "\n", 1), -EAGAIN);
            assert_true(conn_head_partly_sent(conn_find(fd)));
            assert_int_equal(s->out_len, 23);
            assert_memory_equal(s->out, observed_request, s->out_len);
        }
        fake_closes(fd);
        assert_int_equal(s->refs, 0);
    }
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
    assert_non_null(conn_create(private, false, CONN_NEW));
    assert_false(private_is(private));
}

/* Who looks at a number without the lock may find one of our own there: it looks like a free conn's. */
static void test_hidden_number(void **state)
{
    (void)state;
    static const struct conn none;
    int fd = fake_open(false), hidden = private_dup(fd);
    assert_true(private_is(hidden));
    assert_memory_equal(conn_find(hidden), &none, sizeof none);
    assert_null(conn_enter(hidden, NEED_ALL));
    struct pollfd polled = { .fd = hidden, .events = POLLIN };
    assert_int_equal(deferred_tell_poll(&polled, 1, 0), 0);
    assert_false(readiness_is_borrowed(hidden));
    private_close(hidden);
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
    assert_null(conn_create(CONN_TABLE_SIZE, false, CONN_NEW));
    assert_null(conn_create(-1, false, CONN_NEW));
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
        cmocka_unit_test_setup_teardown(test_table, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_missing, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_answered_in_part, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_numbers, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_number_is_new, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_hidden_number, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_closed_in_handler, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_holder_is_gone, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_closed_outside, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_bypass, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_high_number, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
