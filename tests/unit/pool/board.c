/* SPDX-License-Identifier: ISC */
/* board, broker_place and broker_message: what processes of a user believe of what others have written. */
#define _GNU_SOURCE
#include "pool/board.h"
#include "pool/broker_message.h"
#include "pool/broker_place.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW = 5000000 };

static const char token[] = "0123456789abcdef", other[] = "0123456789abcdee";

static struct endpoint endpoint_number(unsigned n)
{
    return (struct endpoint){ .family = AF_INET, .port = htons((uint16_t)(8000 + n)), .address = { 127, 0, 0, 1 },
                              .uid = 7, .netns = 3 };
}

/* ---- the board ---- */

static void test_board(void **state)
{
    int fd = board_create(BOARD_BROKER, token, NOW);

    (void)state;
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(board_check(fd, token), BOARD_BROKER);
    assert_int_equal(board_check(fd, other), 0);
    assert_int_equal(ftruncate(fd, 0), -1); /* nobody can take a page away under a reader */
    assert_int_equal(ftruncate(fd, 1 << 20), -1);
    struct board *one = board_map(fd), *two = board_map(fd);
    assert_non_null(one);
    board_count(one, connects, 3);
    assert_int_equal(two->connects, 3);
    assert_int_equal(two->head.made_ms, NOW);
    munmap(one, sizeof(*one));
    munmap(two, sizeof(*two));
    close(fd);
}

static void test_board_full(void **state)
{
    const struct endpoint to = endpoint_number(1), elsewhere = endpoint_number(2);
    int fd = board_create(BOARD_TREE, token, NOW);
    struct board *board = board_map(fd);

    (void)state;
    assert_non_null(board);
    assert_false(board_is_full(board, &to, NOW));
    board_note_full(board, &to, NOW);
    assert_true(board_is_full(board, &to, NOW) && board_is_full(board, &to, NOW + 50));
    assert_false(board_is_full(board, &elsewhere, NOW));
    assert_false(board_is_full(board, &to, NOW + 1000) || board_is_full(board, &to, NOW - 1000));
    munmap(board, sizeof(*board));
    close(fd);
}

static void test_board_of_another_kind(void **state)
{
    int fd = board_create((enum board_kind)3, token, NOW);

    (void)state;
    assert_int_equal(board_check(fd, token), 0);
    close(fd);
    fd = board_create(BOARD_TREE, token, NOW);
    assert_int_equal(board_check(fd, token), BOARD_TREE);
    struct board_head head;
    assert_int_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
    head.size++; /* of another build */
    assert_int_equal(pwrite(fd, &head, sizeof(head), 0), sizeof(head));
    assert_int_equal(board_check(fd, token), 0);
    head.size--;
    head.magic++;
    assert_int_equal(pwrite(fd, &head, sizeof(head), 0), sizeof(head));
    assert_int_equal(board_check(fd, token), 0);
    head.magic--;
    assert_int_equal(pwrite(fd, &head, sizeof(head), 0), sizeof(head));
    assert_int_equal(board_check(fd, token), BOARD_TREE);

    /* The same bytes in a file that could shrink. */
    int plain = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(plain, sizeof(struct board)), 0);
    assert_int_equal(pwrite(plain, &head, sizeof(head), 0), sizeof(head));
    assert_int_equal(board_check(plain, token), 0);
    close(plain);
    close(fd);
    assert_int_equal(board_check(fd, token), 0);
    int null = open("/dev/null", O_RDWR);
    assert_int_equal(board_check(null, token), 0);
    close(null);
}

static void test_board_promises(void **state)
{
    struct endpoint to = endpoint_number(1);
    static struct board board;

    (void)state;
    assert_false(board_promises(&board, &to, NOW));
    board.hoard[board_bucket(&to)] = 1;
    assert_true(board_promises(&board, &to, NOW));
    board_leave_alone(&board, NOW, 1000);
    assert_false(board_promises(&board, &to, NOW));
    assert_false(board_promises(&board, &to, NOW + 999));
    assert_true(board_promises(&board, &to, NOW + 1000));
    board.alone_until_ms = NOW + 3600000; /* nobody of ours has written that */
    assert_true(board_promises(&board, &to, NOW));
    board_leave_alone(&board, NOW, UINT64_MAX); /* dead */
    assert_false(board_promises(&board, &to, NOW + 1000000000));
    for (unsigned i = 0; i < 256; i++) {
        board.alone_until_ms = 0;
        board.hoard[board_bucket(&to)] = (uint8_t)i;
        assert_int_equal(board_promises(&board, &to, NOW), i != 0);
    }
}

/* ---- messages ---- */

static struct broker_request asking(void)
{
    struct endpoint to = endpoint_number(1);
    struct wanted wanted = { .absolute = true, .host = 11, .proxy_auth = 12 };
    struct broker_request r;

    memset(&r, 0xa5, sizeof(r));
    broker_request_write(&r, BROKER_ASK, &to, &wanted);
    return r;
}

static int read_request(const struct broker_request *r, size_t len)
{
    struct endpoint to;
    struct wanted wanted;

    return broker_request_read(r, len, &to, &wanted);
}

static void test_request_round_trip(void **state)
{
    struct broker_request r = asking();
    struct endpoint to, was = endpoint_number(1);
    struct wanted wanted;

    (void)state;
    assert_int_equal(broker_request_read(&r, sizeof(r), &to, &wanted), BROKER_ASK);
    assert_true(endpoint_equal(&to, &was));
    assert_true(!wanted.any && wanted.absolute && wanted.host == 11 && wanted.proxy_auth == 12);
    broker_request_write(&r, BROKER_HELLO, NULL, NULL);
    assert_int_equal(read_request(&r, sizeof(r)), BROKER_HELLO);
    broker_request_write(&r, BROKER_STATUS, NULL, NULL);
    assert_int_equal(read_request(&r, sizeof(r)), BROKER_STATUS);
    broker_request_write(&r, BROKER_RELEASE, &was, NULL);
    memset(&to, 0, sizeof(to));
    assert_int_equal(broker_request_read(&r, sizeof(r), &to, &wanted), BROKER_RELEASE);
    assert_true(endpoint_equal(&to, &was));
}

static void test_request_sizes(void **state)
{
    char room[2 * sizeof(struct broker_request)] = { 0 };
    struct broker_request r = asking();

    (void)state;
    memcpy(room, &r, sizeof(r));
    for (size_t len = 0; len <= sizeof(room); len++)
        assert_int_equal(read_request((struct broker_request *)(void *)room, len), len == sizeof(r) ? BROKER_ASK : -EBADMSG);
}

/* Each row changes one field of a question that is as it should be. */
#define ROWS(X)                                                                                                     \
    X(magic++, -EBADMSG) X(magic = 0, -EBADMSG) X(size++, -EBADMSG) X(size--, -EBADMSG) X(size = 0, -EBADMSG)       \
    X(kind = 0, -EBADMSG) X(kind = BROKER_HELLO, -EBADMSG) X(kind = BROKER_STATUS, -EBADMSG) X(kind = BROKER_RELEASE, -EBADMSG) X(kind = 5, -EBADMSG)  \
    X(kind = UINT32_MAX, -EBADMSG) X(to.family = 0, -EBADMSG) X(to.family = AF_UNIX, -EBADMSG)                      \
    X(to.family = AF_INET6, BROKER_ASK) X(to.port = 0, -EBADMSG) X(to.uid = UINT32_MAX, BROKER_ASK)                 \
    X(to.netns = 0, BROKER_ASK) X(any = 1, BROKER_ASK) X(any = 2, -EBADMSG) X(any = 255, -EBADMSG)                  \
    X(absolute = 0, BROKER_ASK) X(absolute = 2, -EBADMSG) X(host = 0, BROKER_ASK) X(host = UINT64_MAX, BROKER_ASK)  \
    X(zero[0] = 1, -EBADMSG) X(zero[5] = 1, -EBADMSG)

static void test_request_fields(void **state)
{
    (void)state;
#define X(change, result)                                                                              \
    {                                                                                                  \
        struct broker_request r = asking();                                                            \
        r.change;                                                                                      \
        if (read_request(&r, sizeof(r)) != (result))                                                   \
            fail_msg("%s: %d instead of %d", #change, read_request(&r, sizeof(r)), (int)(result));     \
    }
    ROWS(X)
#undef X
}

static void test_reply(void **state)
{
    struct broker_reply r, out;
    char room[2 * sizeof(r)] = { 0 };

    (void)state;
    broker_reply_write(&r, BROKER_HELLO);
    memcpy(room, &r, sizeof(r));
    for (size_t len = 0; len <= sizeof(room); len++)
        assert_int_equal(broker_reply_read(room, len, BROKER_HELLO, &out), len == sizeof(r) ? 0 : -EBADMSG);
    assert_int_equal(broker_reply_read(&r, sizeof(r), BROKER_STATUS, &out), -EBADMSG);
    memset(r.tree, 'x', sizeof(r.tree)); /* without an end */
    assert_int_equal(broker_reply_read(&r, sizeof(r), BROKER_HELLO, &out), -EBADMSG);
    broker_reply_write(&r, BROKER_HELLO);
    r.magic++;
    assert_int_equal(broker_reply_read(&r, sizeof(r), BROKER_HELLO, &out), -EBADMSG);
}

/* ---- the place ---- */

static char runtime[64];

static int make_runtime(void **state)
{
    (void)state;
    strcpy(runtime, "/tmp/holdfast-unit-XXXXXX");
    return mkdtemp(runtime) ? 0 : -1;
}

static int remove_runtime(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", runtime);
    return system(command);
}

static bool is_in_runtime(const struct broker_place *place)
{
    return strncmp(place->socket, runtime, strlen(runtime)) == 0;
}

static void test_place(void **state)
{
    struct broker_place place, again;
    char dir[96];
    struct stat status;

    (void)state;
    assert_int_equal(broker_place_find(&place, runtime, 0, true), -ENOENT);
    assert_int_equal(broker_place_find(&place, runtime, 5, false), -ENOENT); /* and nowhere else */
    assert_int_equal(broker_place_find(&place, runtime, 5, true), 0);
    assert_true(is_in_runtime(&place) && strncmp(place.lock, place.socket, strlen(place.socket)) == 0);
    snprintf(dir, sizeof(dir), "%s/holdfast", runtime);
    assert_int_equal(stat(dir, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(broker_place_find(&again, runtime, 6, false), 0);
    assert_string_not_equal(place.socket, again.socket); /* another namespace */

    /* Open to others, a link, too long, not absolute, the runtime directory itself open: somewhere else. */
    chmod(dir, 0755);
    assert_true(broker_place_find(&again, runtime, 5, false) != 0 || !is_in_runtime(&again));
    rmdir(dir);
    assert_int_equal(symlink("/root", dir), 0);
    assert_true(broker_place_find(&again, runtime, 5, false) != 0 || !is_in_runtime(&again));
    unlink(dir);
    chmod(runtime, 0777);
    assert_true(broker_place_find(&again, runtime, 5, false) != 0 || !is_in_runtime(&again));
    chmod(runtime, 0700);
    assert_true(broker_place_find(&again, "relative", 5, false) != 0 || !is_in_runtime(&again));
}

static void test_place_claimed_once(void **state)
{
    struct broker_place place;
    int listener, lock, second, third;

    (void)state;
    assert_int_equal(broker_place_find(&place, runtime, 5, true), 0);
    assert_int_equal(broker_place_claim(&place, &listener, &lock), 0);
    assert_int_equal(broker_place_claim(&place, &second, &third), -EWOULDBLOCK);
    close(listener);
    assert_int_equal(broker_place_lock(&place, &third), -EWOULDBLOCK);
    close(lock); /* as death does; the socket's name is left */
    assert_int_equal(broker_place_claim(&place, &listener, &lock), 0);
    close(listener);
    close(lock);
}

static void write_lock(const struct broker_place *place, const char *text)
{
    int fd = open(place->lock, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void test_whereabouts(void **state)
{
    static const char *const bad[] = {
        "", "\n", "4711", "4711 \n", "x 00032-0123456789abcdef-0000000000-256 3\n",
        "4711 00032-0123456789abcdef-0000000000-256 3", "4711 00032-0123456789abcdef-0000000000-256\n",
        "4711 00032-0123456789abcdef-0000000000-2560 3\n", "12345678901 00032-0123456789abcdef-0000000000-256 3\n",
    };
    struct broker_whereabouts who = { .pid = 4711, .netns = UINT64_MAX, .tree = "00032-0123456789abcdef-0000000000-256" }, read;
    struct broker_place place;
    int lock;

    (void)state;
    assert_int_equal(broker_place_find(&place, runtime, 5, true), 0);
    assert_false(broker_place_read(&place, &read));
    assert_int_equal(broker_place_lock(&place, &lock), 0);
    broker_place_publish(lock, &who);
    assert_true(broker_place_read(&place, &read));
    assert_int_equal(read.pid, who.pid);
    assert_true(read.netns == who.netns);
    assert_string_equal(read.tree, who.tree);
    close(lock);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_lock(&place, bad[i]);
        if (broker_place_read(&place, &read))
            fail_msg("taken: %s", bad[i]);
    }
}

static void test_left_alone(void **state)
{
    struct timeval times[2] = { { .tv_sec = time(NULL) + 3600 }, { .tv_sec = time(NULL) + 3600 } };
    struct broker_place place;

    (void)state;
    assert_int_equal(broker_place_find(&place, runtime, 5, true), 0);
    broker_place_leave_alone(&place); /* there is nothing yet */
    assert_false(broker_place_is_left_alone(&place));
    write_lock(&place, "x");
    assert_false(broker_place_is_left_alone(&place));
    broker_place_leave_alone(&place);
    assert_true(broker_place_is_left_alone(&place));
    assert_int_equal(utimes(place.lock, times), 0); /* the clock was set back */
    assert_false(broker_place_is_left_alone(&place));
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, make_runtime, remove_runtime)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_board),
        cmocka_unit_test(test_board_full),
        cmocka_unit_test(test_board_of_another_kind),
        cmocka_unit_test(test_board_promises),
        cmocka_unit_test(test_request_round_trip),
        cmocka_unit_test(test_request_sizes),
        cmocka_unit_test(test_request_fields),
        cmocka_unit_test(test_reply),
        PLACE_TEST(test_place),
        PLACE_TEST(test_place_claimed_once),
        PLACE_TEST(test_whereabouts),
        PLACE_TEST(test_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
