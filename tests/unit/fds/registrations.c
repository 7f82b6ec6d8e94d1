/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Registrations in epoll sets, taken out and put back: of real sets, where the kernel says what is armed, and of sets
 * whose calls fail. */
#include "unit/preload/fake_kernel.h"

#include "preload/fds/registrations.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

static struct registrations r;
static int set, fd; /* real ones */

static int setup_real(void **state)
{
    (void)state;
    real = fake_nothing;
    real.epoll_ctl = epoll_ctl;
    real.read = read;
    real.close = close;
    memset(&r, 0, sizeof r);
    set = epoll_create1(EPOLL_CLOEXEC);
    fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(set >= 0 && fd >= 0);
    return 0;
}

static int teardown_real(void **state)
{
    (void)state;
    close(set);
    close(fd);
    return 0;
}

static void add(uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = registrations_mask(&r, events), .data.u64 = data };

    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
    assert_true(registrations_note(&r, set, EPOLL_CTL_ADD, fd, events, data));
}

/* The data of the one event, 0: there is none. */
static uint64_t fires(void)
{
    struct epoll_event event;

    return epoll_wait(set, &event, 1, 0) == 1 ? event.data.u64 : 0;
}

static void swap(void)
{
    registrations_remove(&r);
    assert_int_equal(fires(), 0);
    assert_true(r.set[0].out);
    registrations_restore(&r);
    assert_int_equal(r.set[0].out, r.set[0].fired);
}

static void test_level(void **state)
{
    (void)state;
    add(EPOLLIN, 7);
    swap();
    assert_int_equal(fires(), 7);
    assert_int_equal(fires(), 7);
}

/* One that has fired is disarmed, and stays so; one that has not fires once. */
static void test_oneshot(void **state)
{
    struct epoll_event again = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = 9 };

    (void)state;
    add(EPOLLIN | EPOLLONESHOT, 8);
    swap();
    assert_int_equal(fires(), 8);
    assert_int_equal(fires(), 0);
    swap();
    assert_int_equal(fires(), 0);
    assert_int_equal(epoll_ctl(set, registrations_operation(&r, set, EPOLL_CTL_MOD, fd), fd, &again), 0);
    registrations_note(&r, set, EPOLL_CTL_MOD, fd, again.events, 9);
    swap();
    assert_int_equal(fires(), 9);
    assert_int_equal(fires(), 0);
    swap(); /* another thread took the event, of the socket before, while a third one swapped */
    assert_int_equal(fires(), 0);
    registrations_untell(registrations_find(&r, set, 9));
    assert_int_equal(fires(), 9);
    assert_int_equal(fires(), 0);
}

/* One that has fired is not put back, not even for EPOLLHUP: the client's next epoll_ctl adds it. */
static void test_oneshot_stays_out(void **state)
{
    (void)state;
    add(EPOLLIN | EPOLLONESHOT, 8);
    assert_int_equal(registrations_operation(&r, set, EPOLL_CTL_MOD, fd), EPOLL_CTL_MOD);
    assert_int_equal(fires(), 8);
    swap();
    assert_true(r.count == 1 && r.set[0].out);
    assert_int_equal(registrations_operation(&r, set, EPOLL_CTL_MOD, fd), EPOLL_CTL_ADD);
    assert_int_equal(registrations_operation(&r, set, EPOLL_CTL_ADD, fd), EPOLL_CTL_ADD);
    assert_int_equal(registrations_operation(&r, set, EPOLL_CTL_DEL, fd), 0);
    swap(); /* and over again: it does not forget in between */
    assert_true(r.count == 1 && r.set[0].out && r.set[0].fired);
    add(EPOLLIN | EPOLLONESHOT, 9);
    swap();
    assert_int_equal(fires(), 9);
}

/* Put back, armed again by the library, and after all told: silent. */
static void test_disarm(void **state)
{
    int ends[2];

    (void)state;
    close(fd);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fd = ends[0];
    close(ends[1]); /* EPOLLHUP for ever */
    add(EPOLLIN | EPOLLONESHOT, 8);
    assert_int_equal(fires(), 8);
    registrations_untell(&r.set[0]);
    registrations_disarm(&r.set[0]);
    assert_int_equal(fires(), 0);
    swap();
    assert_int_equal(fires(), 0);
    registrations_untell(&r.set[0]);
    assert_int_equal(fires(), 8);
}

/* Past us the client changes it by a call that must find it. */
static void test_let_go(void **state)
{
    struct epoll_event again = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = 9 };

    (void)state;
    r.watched = true;
    add(EPOLLIN | EPOLLONESHOT, 8);
    assert_int_equal(fires(), 8);
    swap();
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &again), -1);
    registrations_let_go(&r);
    assert_false(r.watched);
    assert_int_equal(fires(), 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &again), 0);
    assert_int_equal(fires(), 9);
}

/* The number of the set may lead to another one, whose owner knows nothing of it. */
static void test_let_go_late(void **state)
{
    struct epoll_event again = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = 9 };

    (void)state;
    add(EPOLLIN | EPOLLONESHOT, 8);
    assert_int_equal(fires(), 8);
    swap();
    atomic_fetch_add(&registrations_numbers, 1);
    registrations_let_go(&r);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_MOD, fd, &again), -1);
    assert_int_equal(errno, ENOENT);
}

/* The kernel also tells EPOLLRDHUP on a reused connection, but not of one that has fired. */
static void test_extra(void **state)
{
    (void)state;
    r.watched = true;
    assert_int_equal(registrations_mask(&r, EPOLLIN), EPOLLIN | EPOLLRDHUP);
    assert_int_equal(registrations_mask(&r, EPOLLIN | EPOLLEXCLUSIVE), EPOLLIN | EPOLLEXCLUSIVE);
    assert_int_equal(registrations_mask(&r, EPOLLONESHOT), EPOLLONESHOT);
    add(EPOLLIN | EPOLLONESHOT, 8);
    assert_true(r.set[0].extra);
    swap();
    assert_int_equal(fires(), 8);
    swap();
    registrations_unwatch(&r);
    assert_false(r.watched || r.set[0].extra);
    assert_int_equal(fires(), 0);
}

static void test_untell(void **state)
{
    (void)state;
    r.watched = true;
    add(EPOLLOUT | EPOLLET, 5);
    assert_int_equal(fires(), 5);
    errno = 42;
    registrations_untell(registrations_find(&r, set, 5));
    assert_int_equal(errno, 42);
    assert_int_equal(fires(), 5); /* as if it had not been told */
    assert_null(registrations_find(&r, set, 6));
}

/* The fdinfo of a set may come in pieces, and name other numbers first. */
static const char *info;
static size_t info_step;

static ssize_t read_info(int number, void *buf, size_t len)
{
    size_t n = strlen(info);

    (void)number;
    n = n < info_step ? n : info_step;
    n = n < len ? n : len;
    memcpy(buf, info, n);
    info += n;
    return (ssize_t)n;
}

static void test_info_in_pieces(void **state)
{
    static const char text[] = "pos:\t0\nflags:\t02\ntfd:      1%d events:       19 data: 1\n"
                               "tfd:       %d events: 40000000 data: 8 pos:0 ino:1 sdev:1\n";
    char whole[200];

    (void)state;
    snprintf(whole, sizeof whole, text, fd, fd);
    for (size_t step = 1; step <= strlen(whole); step++) {
        teardown_real(NULL);
        setup_real(NULL);
        add(EPOLLIN | EPOLLONESHOT, 8);
        info = whole;
        info_step = step;
        real.read = read_info;
        registrations_remove(&r);
        assert_true(r.set[0].fired && r.set[0].events == (EPOLLIN | EPOLLONESHOT));
    }
}

/* ---- calls that fail ---- */

enum { SET = 90, OTHER = 91 };

static int setup(void **state)
{
    (void)state;
    fake_reset();
    memset(&r, 0, sizeof r);
    fd = real.socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)i };
        real.epoll_ctl(SET + i, EPOLL_CTL_ADD, fd, &event);
        registrations_note(&r, SET + i, EPOLL_CTL_ADD, fd, EPOLLIN, (uint64_t)i);
    }
    return 0;
}

static void test_room(void **state)
{
    (void)state;
    assert_true(registrations_note(&r, 92, EPOLL_CTL_ADD, fd, EPOLLIN, 0));
    assert_true(registrations_note(&r, 93, EPOLL_CTL_ADD, fd, EPOLLIN, 0));
    assert_false(registrations_note(&r, 94, EPOLL_CTL_ADD, fd, EPOLLIN, 0));
    assert_true(registrations_note(&r, 94, EPOLL_CTL_DEL, fd, 0, 0));
    assert_true(registrations_note(&r, 93, EPOLL_CTL_DEL, fd, 0, 0));
    assert_int_equal(r.count, 3);
    assert_true(registrations_note(&r, 94, EPOLL_CTL_ADD, fd, EPOLLIN, 0));
}

/* A set that was closed: its registration is not put back, the other one is. */
static void test_remove_fails(void **state)
{
    uint32_t events;

    (void)state;
    for (unsigned nth = 1; nth <= 2; nth++) {
        setup(NULL);
        fake_fail("epoll_del", nth, EBADF);
        errno = 42;
        registrations_remove(&r);
        registrations_restore(&r);
        assert_int_equal(errno, 42);
        assert_true(kernel.failed);
        assert_int_equal(r.count, 1);
        assert_true(fake_registered(r.set[0].epfd, fd, &events) && events == EPOLLIN);
    }
}

/* What may pass is tried again; what cannot is not. */
static void test_restore_fails(void **state)
{
    static const struct {
        int error, left;
    } rows[] = { { ENOMEM, 2 }, { ENOSPC, 2 }, { EBADF, 1 }, { EINVAL, 1 } };
    uint32_t events;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setup(NULL);
        registrations_remove(&r);
        fake_fail("epoll_add", 1, rows[i].error);
        registrations_restore(&r);
        assert_true(kernel.failed);
        assert_int_equal(r.count, rows[i].left);
        for (int k = 0; k < r.count; k++)
            assert_true(fake_registered(r.set[k].epfd, fd, &events) && !r.set[k].out);
    }
}

static void test_drop_and_lose(void **state)
{
    (void)state;
    fake_log_begin();
    registrations_lose(&r, fd + 1);
    registrations_drop(&r, fd + 1);
    assert_string_equal(kernel.log, "");
    registrations_drop(&r, fd);
    assert_int_equal(r.count + kernel.set_count, 0);
    setup(NULL);
    fake_log_begin();
    registrations_lose(&r, fd); /* the number is another's by now */
    assert_string_equal(kernel.log, "");
    assert_int_equal(r.count, 0);
}

/* One number is closed, a copy goes on: what the kernel would go on to report for the number is the copy's. */
static void test_move(void **state)
{
    uint32_t events;

    (void)state;
    int copy = fake_install(fake_under(fd), FAKE_FIRST, FAKE_NUMBERS, false);
    registrations_move(&r, fd, copy);
    assert_int_equal(r.count, 2);
    for (int i = 0; i < 2; i++) {
        assert_false(fake_registered(SET + i, fd, &events));
        assert_true(fake_registered(SET + i, copy, &events) && events == EPOLLIN);
    }
    setup(NULL);
    copy = fake_install(fake_under(fd), FAKE_FIRST, FAKE_NUMBERS, false);
    fake_fail("epoll_add", 1, ENOSPC);
    registrations_move(&r, fd, copy);
    assert_int_equal(r.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_level, setup_real, teardown_real),
        cmocka_unit_test_setup_teardown(test_oneshot, setup_real, teardown_real),
        cmocka_unit_test_setup_teardown(test_oneshot_stays_out, setup_real, teardown_real),
        cmocka_unit_test_setup_teardown(test_disarm, setup_real, teardown_real),
        cmocka_unit_test_setup_teardown(test_let_go, setup_real, teardown_real),
        cmocka_unit_test_setup_teardown(test_let_go_late, setup_real, teardown_real),
        cmocka_unit_test_setup_teardown(test_extra, setup_real, teardown_real),
        cmocka_unit_test_setup_teardown(test_untell, setup_real, teardown_real),
        cmocka_unit_test_setup_teardown(test_info_in_pieces, setup_real, teardown_real),
        cmocka_unit_test_setup(test_room, setup),
        cmocka_unit_test_setup(test_remove_fails, setup),
        cmocka_unit_test_setup(test_restore_fails, setup),
        cmocka_unit_test_setup(test_drop_and_lose, setup),
        cmocka_unit_test_setup(test_move, setup),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
