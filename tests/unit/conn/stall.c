/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Servers that serve one connection at a time: when something is let go for who waits, what is learned of it, by the
 * test's clock. */
#include "unit/preload/fake_conn.h"

#include "preload/conn/stall.h"

static unsigned port = 7000;

/* What TCP_INFO says of every socket: in words of 32 bits (fds/tcpinfo.c). */
static struct {
    bool known;
    unsigned acknowledged, since_ack_ms, unacked;
} info;

static int getsockopt_info(int fd, int level, int name, void *value, socklen_t *len)
{
    uint32_t *words = value;

    if (level != IPPROTO_TCP || name != TCP_INFO)
        return fake_getsockopt(fd, level, name, value, len);
    if (!info.known) {
        errno = ENOPROTOOPT;
        return -1;
    }
    memset(value, 0, *len);
    *(unsigned char *)value = 1; /* established */
    words[6] = info.unacked;
    words[14] = info.since_ack_ms;
    words[30] = info.acknowledged;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    real.getsockopt = getsockopt_info;
    memset(&info, 0, sizeof info);
    port += 10;
    fake_ms += 1000;
    return 0;
}

/* So many idle connections to there; and one whose client waits for its first byte. */
static int waits_beside(unsigned idle, unsigned where)
{
    int fds[4], waiting = fake_open(false);

    for (unsigned i = 0; i < idle; i++)
        fds[i] = fake_exchange(where);
    for (unsigned i = 0; i < idle; i++)
        fake_closes(fds[i]);
    struct sockaddr_in to = fake_address(where);
    struct conn *c = fake_enter(waiting);
    endpoint_from(&c->to, (struct sockaddr *)&to, sizeof to);
    c->to.netns = 1;
    connecting_fresh(c);
    real.connect(waiting, (struct sockaddr *)&to, sizeof to);
    conn_leave(c);
    assert_int_equal(fake_sends(waiting, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    assert_true(conn_find(waiting)->waiter.ticket && stall_any());
    return waiting;
}

static unsigned idle_count(void)
{
    unsigned n = 0;

    for (int i = 1; i <= kernel.made; i++) /* in the pool: a private number, and no other */
        for (int fd = 896; fd < 1024 && kernel.sockets[i].connected; fd++)
            n += fake_under(fd) == &kernel.sockets[i] && kernel.sockets[i].refs == 1 && kernel.sockets[i].peer.sin_port;
    return n;
}

static void passes(uint64_t ms)
{
    fake_ms += ms;
    stall_relieve();
}

static void answers(int fd)
{
    char bytes[200];

    fake_arrives(fake_under(fd), fake_answer, strlen(fake_answer));
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    assert_false(conn_find(fd)->waiter.ticket);
    fake_closes(fd);
}

static struct endpoint place(void)
{
    struct sockaddr_in to = fake_address(port);
    struct endpoint endpoint;

    endpoint_from(&endpoint, (struct sockaddr *)&to, sizeof to);
    endpoint.netns = 1;
    return endpoint;
}

static void test_first_turn(void **state)
{
    (void)state;
    int fd = waits_beside(1, port);
    assert_int_equal(idle_count(), 1);
    assert_in_range(stall_turn_ms(), 1, 400);
    passes(399);
    assert_int_equal(idle_count(), 1);
    passes(1);
    assert_int_equal(idle_count(), 0);
    answers(fd);
    assert_false(stall_any());
}

/* Another place is left as it is. */
static void test_other_place(void **state)
{
    (void)state;
    fake_closes(fake_exchange(port + 1));
    int fd = waits_beside(1, port);
    assert_int_equal(idle_count(), 2);
    passes(400);
    assert_int_equal(idle_count(), 1);
    answers(fd);
}

/* Helped once: known for a time, and the next turn is longer.  Helped twice: nothing is left idle there. */
static void test_learns(void **state)
{
    struct endpoint to = place();

    (void)state;
    int fd = waits_beside(1, port);
    passes(400);
    fake_ms += 50;
    answers(fd);
    assert_true(evidence_has(&to, EVIDENCE_HELD_UP_ONCE));
    assert_false(evidence_has(&to, EVIDENCE_ONE_AT_A_TIME));

    fake_ms += 5000;
    evidence_refresh();
    fd = waits_beside(1, port);
    passes(400);
    assert_int_equal(idle_count(), 1);
    passes(250);
    assert_int_equal(idle_count(), 0);
    answers(fd);
    evidence_refresh();
    assert_true(evidence_has(&to, EVIDENCE_ONE_AT_A_TIME));
}

/* What comes later than a tenth of a second after it was chance; so was what came before anything was let go. */
static void test_learns_nothing(void **state)
{
    struct endpoint to = place();

    (void)state;
    int fd = waits_beside(1, port);
    passes(400);
    fake_ms += 101;
    answers(fd);
    assert_false(evidence_has(&to, EVIDENCE_HELD_UP_ONCE));
    fake_ms += 2000;
    fd = waits_beside(0, port);
    passes(100);
    answers(fd);
    evidence_refresh();
    assert_false(evidence_has(&to, EVIDENCE_HELD_UP_ONCE));
}

/* While the server acknowledges more of what was sent, the time begins anew. */
static void test_progress(void **state)
{
    (void)state;
    info.known = true;
    info.acknowledged = 10;
    int fd = waits_beside(1, port);
    passes(400); /* acknowledged since: now */
    assert_int_equal(idle_count(), 1);
    passes(399);
    assert_int_equal(idle_count(), 1);
    info.acknowledged = 20;
    passes(1);
    assert_int_equal(idle_count(), 1);
    passes(400);
    assert_int_equal(idle_count(), 0);
    answers(fd);
}

/* Nothing is closed while another request is on its way to that place. */
static void test_other_sends(void **state)
{
    (void)state;
    info.known = true;
    int fd = waits_beside(1, port), other = waits_beside(0, port);
    struct conn *c = fake_enter(other);
    atomic_store(&c->waiter.sent, STALL_BODY_IN_PART);
    conn_leave(c);
    fake_ms += 200;
    info.acknowledged = 10; /* of both */
    passes(200);
    assert_int_equal(idle_count(), 1);
    c = fake_enter(other);
    atomic_store(&c->waiter.sent, STALL_WHOLE);
    conn_leave(c);
    passes(400);
    assert_int_equal(idle_count(), 0);
    answers(fd);
    fake_closes(other);
}

/* Turns get longer: twelve alike, where letting go of something counts for four. */
static void test_turns(void **state)
{
    (void)state;
    int fd = waits_beside(0, port), due = 0;
    for (int i = 0; i < 16; i++) {
        uint64_t before = fake_ms;
        do
            passes(1);
        while (stall_turn_ms() == 1 && fake_ms - before < 2);
        while (conn_find(fd)->waiter.turns == (unsigned)due)
            passes(1);
        due = (int)conn_find(fd)->waiter.turns;
    }
    assert_int_equal(due, 16);
    assert_int_equal(conn_find(fd)->waiter.turn_ms, 400u << 5);
    answers(fd);
}

/* A reused connection does not wait so, nor one whose answer has begun; a fork's child waits for nobody. */
static void test_who_waits(void **state)
{
    (void)state;
    fake_closes(fake_exchange(port));
    int fd = fake_open(false);
    assert_int_equal(fake_connect_to(fd, port), 0);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    assert_true(conn_find(fd)->reused && !conn_find(fd)->waiter.ticket);
    assert_false(stall_any());
    fake_closes(fd);

    fd = waits_beside(0, port);
    stall_after_fork();
    assert_false(stall_any() || conn_find(fd)->waiter.ticket);
    passes(10000);
    fake_closes(fd);
}

/* A connection that libc alone will have: what is idle there goes at once, where anything can be. */
static void test_make_way(void **state)
{
    struct endpoint to = place();

    (void)state;
    fake_closes(fake_exchange(port));
    fake_closes(fake_exchange(port + 1));
    assert_int_equal(idle_count(), 2);
    errno = 42;
    stall_make_way(&to);
    assert_int_equal(errno, 42);
    assert_int_equal(idle_count(), 1);
}

static int poll_error; /* 0: it comes back at once with nothing, as if the time were over */

static int poll_bad(struct pollfd *fds, nfds_t n, int ms)
{
    (void)fds, (void)n, (void)ms;
    errno = poll_error;
    return poll_error ? -1 : 0;
}

static void waits_badly(int fd)
{
    struct conn *c = fake_enter(fd);

    poll_error = ENOMEM;
    assert_int_equal(stall_wait(c, fd, POLLIN), 0);
    poll_error = 0;
    assert_int_equal(stall_wait(c, fd, POLLIN), 1);
    conn_leave(c);
}

static void *does_nothing(void *unused)
{
    return unused;
}

/* A wait that does not wait, and would go on for ever: the client's own call is made. */
static void test_no_wait(void **state)
{
    pthread_t thread;

    (void)state;
    int fd = waits_beside(1, port);
    real.poll = poll_bad;
    waits_badly(fd);
    assert_int_equal(pthread_create(&thread, NULL, does_nothing, NULL), 0);
    pthread_join(thread, NULL);
    assert_false(lock_alone());
    waits_badly(fd);
    fake_closes(fd);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* among threads the pool asks for it */
}

static struct {
    int fd; /* 0: nobody receives */
    char bytes[10];
} meanwhile;

/* While a thread waits for the first byte the head comes, and a handler of the thread takes the beginning of it. */
static int poll_and_handle(struct pollfd *fds, nfds_t n, int ms)
{
    int fd = meanwhile.fd;

    if (ms > 0 && fd) {
        enum { BODY = 2 };
        size_t head = strlen(fake_answer) - BODY;
        meanwhile.fd = 0;
        fake_arrives(fake_under(fd), fake_answer, head);
        assert_int_equal(fake_receives(fd, meanwhile.bytes, sizeof meanwhile.bytes), sizeof meanwhile.bytes);
        fake_arrives(fake_under(fd), fake_answer + head, BODY);
    }
    return fake_poll(fds, n, ms);
}

/* To its end, which the library knows. */
static void receive_all(int fd, char *to, size_t at, size_t room)
{
    ssize_t got;

    while ((got = fake_receives(fd, to + at, room - at - 1)) > 0)
        at += (size_t)got;
    assert_int_equal(got, 0);
    to[at] = 0;
}

static void test_received_meanwhile(void **state)
{
    char all[4000], undisturbed[4000];

    (void)state;
    int fd = waits_beside(1, port);
    fake_arrives(fake_under(fd), fake_answer, strlen(fake_answer));
    receive_all(fd, undisturbed, 0, sizeof undisturbed);
    fake_closes(fd);

    port++;
    meanwhile.fd = fd = waits_beside(1, port);
    real.poll = poll_and_handle;
    receive_all(fd, all, sizeof meanwhile.bytes, sizeof all);
    memcpy(all, meanwhile.bytes, sizeof meanwhile.bytes);
    assert_string_equal(all, undisturbed);
    fake_closes(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_turn, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_other_place, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_learns, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_learns_nothing, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_progress, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_other_sends, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_turns, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_who_waits, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_make_way, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_received_meanwhile, setup, fake_end),
        cmocka_unit_test_setup_teardown(test_no_wait, setup, fake_end),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
