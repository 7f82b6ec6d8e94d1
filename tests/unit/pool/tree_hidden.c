/* SPDX-License-Identifier: ISC */
/* tree: where what was received lies.  As soon as a connection is put back somebody else may ask there; until its number
 * is closed, a thread of this program that reads from that number would take the answer.  So it is moved out of the
 * program's reach first. */
#define _GNU_SOURCE
#include "pool/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIRST = 300, HIDDEN = 600, NOW = 5000000, CONNECTIONS = 3 };

static struct tree tree;
static int hideable, passed_on, exposed;

static int hide(int fd)
{
    int hidden = hideable-- > 0 ? fcntl(fd, F_DUPFD_CLOEXEC, HIDDEN) : -1;

    if (hidden >= 0)
        close(fd);
    return hidden;
}

static ssize_t watched_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    const struct cmsghdr *beside = CMSG_FIRSTHDR(msg);
    int passed = -1;

    if (beside)
        memcpy(&passed, CMSG_DATA(beside), sizeof passed);
    passed_on += beside != NULL;
    exposed += beside && passed < HIDDEN;
    return sendmsg(fd, msg, flags);
}

static struct endpoint place(void)
{
    return (struct endpoint){ .family = AF_INET, .port = htons(8000), .address = { 127, 0, 0, 1 }, .uid = 7, .netns = 3 };
}

/* Of the host so many; returns the far end. */
static int give(uint64_t host)
{
    struct endpoint to = place();
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int fd = hide(pair[0]);
    struct idle idle = { .fd = fd, .proven = true, .nonblocking = true, .requests = 3, .max_left = -1, .idle_ms = 10000,
                         .parked_ms = NOW - 10, .opened_ms = NOW - 900, .host = host, .cookie = 100 + host };
    assert_int_equal(tree_give(&tree, &to, &idle, TREE_MOST, NOW), 0);
    close(fd);
    return pair[1];
}

static int take(uint64_t host, struct idle *out)
{
    struct endpoint to = place();
    struct wanted wanted = { .host = host };

    return tree_take(&tree, &to, &wanted, out, NOW);
}

static int lowest_free(void)
{
    int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

    close(fd);
    return fd;
}

static bool has_ended(int far)
{
    char byte;

    return recv(far, &byte, 1, MSG_DONTWAIT) == 0;
}

static int make_tree(void **state)
{
    static struct tree_calls calls;

    (void)state;
    calls = tree_calls_plain;
    calls.hide = hide;
    calls.sendmsg = watched_sendmsg;
    hideable = 100;
    return tree_create(&tree, &calls, FIRST, TREE_MOST, 7);
}

static int unmake_tree(void **state)
{
    (void)state;
    for (int i = 0; i < TREE_QUEUES; i++)
        close(FIRST + i);
    return 0;
}

static void test_hidden_before_it_is_put_back(void **state)
{
    int far[CONNECTIONS], lowest;
    struct idle out;

    (void)state;
    for (int i = 0; i < CONNECTIONS; i++)
        far[i] = give(11 + (uint64_t)i);
    passed_on = exposed = 0;
    lowest = lowest_free();
    assert_int_equal(take(13, &out), 0);
    assert_int_equal(out.cookie, 113);
    assert_int_equal(passed_on, 2);
    assert_int_equal(exposed, 0);
    assert_true(out.fd >= HIDDEN);
    assert_int_equal(lowest_free(), lowest);
    close(out.fd);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(has_ended(far[i]), i == 2);
        close(far[i]);
    }
}

static void test_no_number_to_hide_under(void **state)
{
    int far[CONNECTIONS], lowest;
    struct idle out;

    (void)state;
    for (int i = 0; i < CONNECTIONS; i++)
        far[i] = give(11 + (uint64_t)i);
    lowest = lowest_free();
    hideable = 1;
    exposed = 0;
    assert_int_equal(take(13, &out), -EMFILE);
    assert_int_equal(exposed, 0);
    assert_int_equal(lowest_free(), lowest);
    for (int i = 0; i < CONNECTIONS; i++)
        assert_int_equal(has_ended(far[i]), i == 1); /* the first was put back, the third was not met */
    hideable = 100;
    assert_int_equal(take(13, &out), 0);
    close(out.fd);
    for (int i = 0; i < CONNECTIONS; i++)
        close(far[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hidden_before_it_is_put_back, make_tree, unmake_tree),
        cmocka_unit_test_setup_teardown(test_no_number_to_hide_under, make_tree, unmake_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
