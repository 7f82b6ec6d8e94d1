/* SPDX-License-Identifier: ISC */
/* hoard: what is kept, what goes, what the board says of it. */
#define _GNU_SOURCE
#include "broker/hoard.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW = 5000000, IDLE_MS = 10000, MOST = 40, MOST_EACH = 8 };

static struct hoard hoard;
static struct board board;

static struct endpoint endpoint_number(unsigned n)
{
    return (struct endpoint){ .family = AF_INET, .port = htons((uint16_t)(8000 + n)), .address = { 127, 0, 0, 1 },
                              .uid = 7, .netns = 3 };
}

static int make(void **state)
{
    (void)state;
    memset(&board, 0, sizeof(board));
    hoard_init(&hoard, &tree_calls_plain, &board, epoll_create1(EPOLL_CLOEXEC), MOST, MOST_EACH);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    hoard_close(&hoard);
    assert_int_equal(hoard.table.entries, 0);
    for (unsigned i = 0; i < BOARD_BUCKETS; i++)
        assert_int_equal(board.hoard[i], 0);
    close(hoard.epoll);
    return 0;
}

/* Returns the server's end. */
static int keep(unsigned endpoint, uint64_t host, uint64_t parked_ms, uint64_t now_ms, bool kept)
{
    struct endpoint to = endpoint_number(endpoint);
    struct idle idle = { .requests = 1, .max_left = -1, .idle_ms = IDLE_MS, .parked_ms = parked_ms, .host = host, .cookie = 1 };
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    idle.fd = ends[0];
    assert_int_equal(hoard_keep(&hoard, &to, &idle, now_ms), kept);
    return ends[1];
}

static uint64_t take(unsigned endpoint, uint64_t host, uint64_t now_ms)
{
    struct endpoint to = endpoint_number(endpoint);
    struct wanted wanted = { .any = host == 0, .host = host };
    struct idle out;

    if (hoard_take(&hoard, &to, &wanted, &out, now_ms) != 0)
        return 0;
    close(out.fd);
    return out.host;
}

static bool has_ended(int fd)
{
    char byte;

    /* A reset, where something that was sent had not been read. */
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

/* What the broker's loop does. */
static unsigned events(void)
{
    struct epoll_event found[64];
    int n = epoll_wait(hoard.epoll, found, 64, 0);

    for (int i = 0; i < n; i++)
        hoard_look(&hoard, found[i].data.ptr);
    return (unsigned)n;
}

static void test_newest_first(void **state)
{
    int far[3];
    struct endpoint to = endpoint_number(1);

    (void)state;
    assert_int_equal(board.hoard[board_bucket(&to)], 0);
    for (unsigned i = 0; i < 3; i++)
        far[i] = keep(1, 10 + i, NOW + i, NOW + i, true);
    assert_int_equal(board.hoard[board_bucket(&to)], 1);
    assert_int_equal(take(2, 0, NOW), 0);
    assert_int_equal(take(1, 11, NOW), 11); /* of the Host that is wanted */
    assert_int_equal(take(1, 99, NOW), 0);
    assert_int_equal(take(1, 0, NOW), 12);
    assert_int_equal(board.hoard[board_bucket(&to)], 1);
    assert_int_equal(take(1, 0, NOW), 10);
    assert_int_equal(board.hoard[board_bucket(&to)], 0);
    for (unsigned i = 0; i < 3; i++)
        close(far[i]);
}

static void test_expiry(void **state)
{
    int old = keep(1, 1, NOW, NOW, true), young = keep(2, 2, NOW + 500, NOW + 500, true);

    (void)state;
    close(keep(1, 3, NOW, NOW + IDLE_MS, false)); /* too late already */
    assert_int_equal(hoard.next_look_ms, NOW + IDLE_MS);
    hoard_expire(&hoard, NOW + IDLE_MS - 1);
    assert_false(has_ended(old));
    hoard_expire(&hoard, NOW + IDLE_MS);
    assert_true(has_ended(old));
    assert_false(has_ended(young));
    assert_in_range(hoard.next_look_ms, NOW + IDLE_MS + 1, NOW + IDLE_MS + 500);
    assert_int_equal(take(2, 0, NOW + IDLE_MS + 500), 0); /* looked at before it is given, too */
    assert_true(has_ended(young));
    hoard_expire(&hoard, NOW + 2 * IDLE_MS);
    assert_true(hoard.next_look_ms == UINT64_MAX);
    close(old);
    close(young);
}

static void test_watched(void **state)
{
    int closes = keep(1, 1, NOW, NOW, true), talks = keep(1, 2, NOW, NOW, true), stays = keep(1, 3, NOW, NOW, true);

    (void)state;
    assert_int_equal(events(), 0);
    close(closes);
    assert_int_equal(write(talks, "HTTP/1.1 408", 12), 12);
    assert_int_equal(events(), 2);
    assert_int_equal(hoard.table.entries, 1);
    assert_int_equal(board.ended, 2);
    assert_true(has_ended(talks));
    assert_int_equal(events(), 0);
    assert_int_equal(take(1, 0, NOW), 3);
    close(talks);
    close(stays);
}

/* One that has ended and is asked for before its event was read; the event comes later, for an entry that is
 * not in use, or that is another's by then. */
static void test_event_after_the_entry(void **state)
{
    struct epoll_event found[4];
    int dead = keep(1, 1, NOW, NOW, true), far;

    (void)state;
    close(dead);
    assert_int_equal(epoll_wait(hoard.epoll, found, 4, 0), 1);
    assert_int_equal(take(1, 0, NOW), 0);
    hoard_look(&hoard, found[0].data.ptr);
    far = keep(2, 5, NOW, NOW, true);
    hoard_look(&hoard, found[0].data.ptr);
    assert_int_equal(take(2, 0, NOW), 5);
    close(far);
}

/* What was lent does not wake the broker any more. */
static void test_lent_is_not_watched(void **state)
{
    struct endpoint to = endpoint_number(1);
    struct wanted any = { .any = true };
    struct idle out;
    int far = keep(1, 1, NOW, NOW, true);

    (void)state;
    assert_int_equal(hoard_take(&hoard, &to, &any, &out, NOW), 0);
    assert_int_equal(write(far, "x", 1), 1);
    assert_int_equal(events(), 0);
    close(out.fd);
    close(far);
}

static void test_caps(void **state)
{
    int far[MOST_EACH + 2], more[2 * MOST];
    unsigned ended = 0;

    (void)state;
    for (unsigned i = 0; i < MOST_EACH + 2; i++)
        far[i] = keep(1, 1 + i, NOW + i, NOW + i, true);
    for (unsigned i = 0; i < MOST_EACH + 2; i++)
        assert_int_equal(has_ended(far[i]), i < 2);
    for (unsigned i = 0; i < 2 * MOST; i++)
        more[i] = keep(100 + i, 1, NOW + 100, NOW + 100, true);
    assert_int_equal(hoard.table.entries, MOST);
    for (unsigned i = 0; i < MOST_EACH + 2; i++)
        assert_true(has_ended(far[i])); /* the oldest of all */
    for (unsigned i = 0; i < 2 * MOST; i++) {
        ended += has_ended(more[i]);
        close(more[i]);
    }
    assert_int_equal(ended, MOST);
    for (unsigned i = 0; i < MOST_EACH + 2; i++)
        close(far[i]);
}

/* Two endpoints in one bucket of the board: it promises until both are gone. */
static void test_same_bucket(void **state)
{
    struct endpoint first = endpoint_number(0), other;
    unsigned n = 0;
    int far[2];

    (void)state;
    do
        other = endpoint_number(++n);
    while (n < 57000 && board_bucket(&other) != board_bucket(&first));
    assert_int_equal(board_bucket(&other), board_bucket(&first));
    far[0] = keep(0, 1, NOW, NOW, true);
    far[1] = keep(n, 2, NOW, NOW, true);
    assert_int_equal(take(0, 0, NOW), 1);
    assert_int_equal(board.hoard[board_bucket(&first)], 1);
    assert_int_equal(take(n, 0, NOW), 2);
    assert_int_equal(board.hoard[board_bucket(&first)], 0);
    close(far[0]);
    close(far[1]);
}

static void test_what_cannot_be_watched(void **state)
{
    struct endpoint to = endpoint_number(1);
    struct idle idle = { .fd = -1, .idle_ms = IDLE_MS, .parked_ms = NOW };

    (void)state;
    assert_false(hoard_keep(&hoard, &to, &idle, NOW));
    assert_int_equal(hoard.table.entries, 0);
    assert_int_equal(hoard.table.sites, 0);
}

#define HOARD_TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOARD_TEST(test_newest_first), HOARD_TEST(test_expiry),       HOARD_TEST(test_watched),
        HOARD_TEST(test_event_after_the_entry), HOARD_TEST(test_lent_is_not_watched), HOARD_TEST(test_caps),
        HOARD_TEST(test_same_bucket),  HOARD_TEST(test_what_cannot_be_watched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
