/* SPDX-License-Identifier: ISC */
/* tree: giving and taking, with queues of the kernel's own, and sockets that lead nowhere. */
#define _GNU_SOURCE
#include "pool/tree.h"
#include "pool/tree_message.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIRST = 300, NOW = 5000000, IDLE_MS = 10000 };

static struct endpoint endpoint_number(unsigned n)
{
    return (struct endpoint){ .family = AF_INET, .port = htons((uint16_t)(8000 + n)), .address = { 127, 0, 0, 1 },
                              .uid = 7, .netns = 3 };
}

static struct idle sample(int fd)
{
    return (struct idle){ .fd = fd, .proven = true, .nonblocking = true, .absolute = true, .requests = 3,
                          .max_left = 9, .idle_ms = IDLE_MS, .parked_ms = NOW - 10, .opened_ms = NOW - 900, .host = 11,
                          .proxy_auth = 12, .cookie = 13, .local.any.sa_family = AF_INET };
}

static struct tree tree;

static int make_tree(void **state)
{
    (void)state;
    return tree_create(&tree, &tree_calls_plain, FIRST, TREE_MOST, 7);
}

static int unmake_tree(void **state)
{
    (void)state;
    for (int i = 0; i < TREE_QUEUES; i++)
        close(FIRST + i);
    return 0;
}

/* A socket whose other end stays open, in *far. */
static int open_socket(int *far)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    *far = pair[1];
    return pair[0];
}

static bool has_ended(int far)
{
    char byte;

    return recv(far, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Returns the far end. */
static int give(unsigned n, uint64_t cookie, unsigned limit, uint64_t now_ms, int result)
{
    struct endpoint to = endpoint_number(n);
    int far, fd = open_socket(&far);
    struct idle idle = sample(fd);

    idle.cookie = cookie;
    idle.parked_ms = now_ms;
    assert_int_equal(tree_give(&tree, &to, &idle, limit, now_ms), result);
    close(fd);
    return far;
}

/* The cookie of what was found, 0: nothing. */
static uint64_t take(unsigned n, uint64_t now_ms)
{
    struct endpoint to = endpoint_number(n);
    struct wanted any = { .any = true };
    struct idle out = { .fd = -1 };

    if (tree_take(&tree, &to, &any, &out, now_ms) != 0)
        return 0;
    assert_true(fcntl(out.fd, F_GETFD) == FD_CLOEXEC);
    close(out.fd);
    return out.cookie;
}

static void test_queue_first_in_first_out(void **state)
{
    int far[3];

    (void)state;
    assert_int_equal(take(1, NOW), 0);
    for (unsigned i = 0; i < 3; i++)
        far[i] = give(1, 20 + i, 64, NOW, 0);
    assert_int_equal(tree_count(&tree), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(has_ended(far[i]));
        assert_int_equal(take(1, NOW), 20 + i);
        assert_true(has_ended(far[i]));
        close(far[i]);
    }
    assert_int_equal(take(1, NOW), 0);
    assert_int_equal(tree_count(&tree), 0);
}

static void test_queue_endpoints_apart(void **state)
{
    int far[40];

    (void)state;
    for (unsigned n = 0; n < 40; n++)
        far[n] = give(n, 100 + n, 64, NOW, 0);
    assert_int_equal(take(41, NOW), 0);
    for (unsigned n = 40; n-- > 0;) {
        assert_int_equal(take(n, NOW), 100 + n);
        assert_int_equal(take(n, NOW), 0);
        close(far[n]);
    }
}

static void test_queue_expired(void **state)
{
    int old = give(1, 31, 64, NOW, 0), young = give(1, 32, 64, NOW + IDLE_MS - 1, 0), last;

    (void)state;
    last = give(1, 33, 64, NOW + IDLE_MS, 0); /* who gives sees to what has expired */
    assert_true(has_ended(old));
    assert_false(has_ended(young));
    assert_int_equal(tree_count(&tree), 2);
    assert_int_equal(take(2, NOW + 4 * IDLE_MS), 0);
    close(old);
    close(young);
    close(last);
    while (take(1, NOW + IDLE_MS))
        ;
}

/* Nobody watches: those who give find what was closed meanwhile. */
static void test_queue_dead(void **state)
{
    int far[6], last[3];

    (void)state;
    for (unsigned i = 0; i < 6; i++)
        far[i] = give(1, 80 + i, 64, NOW, 0);
    for (unsigned i = 0; i < 6; i++)
        if (i != 3)
            close(far[i]);
    for (unsigned i = 0; i < 3; i++)
        last[i] = give(1, 90 + i, 64, NOW + IDLE_MS / 2, 0);
    assert_int_equal(tree_count(&tree), 4);
    assert_false(has_ended(far[3]));
    for (unsigned i = 0; i < 3; i++)
        close(last[i]);
    close(far[3]);
}

static void test_queue_limit(void **state)
{
    int far[10], ended = 0;

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        far[i] = give(1, 40 + i, 4, NOW, i < 4 ? 0 : TREE_IN_PLACE);
    for (unsigned i = 0; i < 10; i++) {
        ended += has_ended(far[i]);
        close(far[i]);
    }
    assert_int_equal(ended, 6);
    for (unsigned i = 6; i < 10; i++)
        assert_int_equal(take(1, NOW), 40 + i);
    assert_int_equal(take(1, NOW), 0);
}

static unsigned drain(int *far, unsigned count, uint64_t now_ms)
{
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        while (take(i % 20, now_ms))
            found++;
        close(far[i]);
    }
    return found;
}

/* Those that are in use stay, and the new one goes. */
static void test_queue_full(void **state)
{
    int far[2 * TREE_MOST];

    (void)state;
    for (unsigned i = 0; i < 2 * TREE_MOST; i++)
        far[i] = give(i % 20, 1000 + i, 64, NOW, i < TREE_MOST ? 0 : -EAGAIN);
    assert_in_range(tree_count(&tree), TREE_MOST - 4, TREE_MOST);
    for (unsigned i = 0; i < 2 * TREE_MOST; i++)
        assert_int_equal(has_ended(far[i]), i >= TREE_MOST);
    assert_int_equal(drain(far, 2 * TREE_MOST, NOW), TREE_MOST);
}

/* One that nobody wanted for half of its time makes room. */
static void test_queue_full_of_old(void **state)
{
    int far[TREE_MOST + 1];
    unsigned ended = 0;

    (void)state;
    for (unsigned i = 0; i < TREE_MOST; i++)
        far[i] = give(i % 20, 1000 + i, 64, NOW, 0);
    far[TREE_MOST] = give(3, 2000, 64, NOW + IDLE_MS / 2 + 1, 0);
    for (unsigned i = 0; i < TREE_MOST; i++)
        ended += has_ended(far[i]);
    assert_int_equal(ended, 1);
    assert_int_equal(drain(far, TREE_MOST + 1, NOW + IDLE_MS / 2 + 1), TREE_MOST);
}

static void test_queue_wanted(void **state)
{
    struct endpoint to = endpoint_number(1);
    struct wanted other = { .host = 99, .absolute = true, .proxy_auth = 12 };
    struct wanted same = { .host = 11, .absolute = true, .proxy_auth = 12 };
    struct idle out;
    int far = give(1, 50, 64, NOW, 0);

    (void)state;
    assert_int_equal(tree_take(&tree, &to, &other, &out, NOW), -ENOENT);
    assert_int_equal(tree_take(&tree, &to, &same, &out, NOW), 0);
    close(out.fd);
    close(far);
}

/* Somebody has closed some of the queues, or put something else there. */
static void test_queue_gone(void **state)
{
    int far = give(1, 60, 64, NOW, 0), null;

    (void)state;
    for (int i = 0; i < TREE_QUEUES; i++)
        assert_true(tree_has(&tree, (unsigned)i));
    unmake_tree(state);
    assert_true(has_ended(far));
    close(far);
    assert_false(tree_has(&tree, 0) || tree_lives(&tree));
    assert_int_equal(take(1, NOW), 0);
    close(give(1, 61, 64, NOW, -ENOENT));
    null = open("/dev/null", O_RDWR);
    for (int i = 0; i < TREE_QUEUES; i++)
        assert_int_equal(dup2(null, FIRST + i), FIRST + i);
    close(null);
    assert_false(tree_has(&tree, 0));
    assert_int_equal(take(1, NOW), 0);
    close(give(1, 62, 64, NOW, -ENOENT));
}

/* All to one server, in whatever queues they lie; the others stay in their order. */
static void test_queue_release_place(void **state)
{
    struct endpoint to = endpoint_number(1), bound = to, other = endpoint_number(2);
    int far[12], kept[3];

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        int fd = open_socket(&far[i]);
        struct idle idle = sample(fd);
        bound.options = i; /* so that they are in several queues */
        idle.parked_ms = NOW;
        idle.cookie = 100 + i;
        assert_int_equal(tree_give(&tree, &bound, &idle, 64, NOW), 0);
        close(fd);
    }
    for (unsigned i = 0; i < 3; i++)
        kept[i] = give(2, 200 + i, 64, NOW, 0);
    assert_int_equal(tree_release_place(&tree, &to, NOW), 12);
    for (unsigned i = 0; i < 12; i++) {
        assert_true(has_ended(far[i]));
        close(far[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_false(has_ended(kept[i]));
        assert_int_equal(take(2, NOW), 200 + i);
        close(kept[i]);
    }
    assert_int_equal(tree_release_place(&tree, &other, NOW), 0);
}

static void test_queue_lives(void **state)
{
    struct tree other = tree;

    (void)state;
    assert_true(tree_lives(&tree));
    memset(other.token, 'f', TREE_TOKEN);
    assert_false(tree_lives(&other));
    assert_false(tree_has(&other, 0));
}

/* The message must not come out with a connection that it was not written for. */
static void test_queue_foreign(void **state)
{
    struct endpoint to = endpoint_number(1);
    struct sockaddr_un name;
    socklen_t len = tree_name(&tree, endpoint_hash(&to) % TREE_QUEUES, &name);
    struct tree_message m;
    struct idle idle = sample(-1);
    int far;

    (void)state;
    tree_message_write(&m, &to, &idle);
    assert_int_equal(sendto(FIRST, "x", 1, 0, (struct sockaddr *)&name, len), 1);
    assert_int_equal(sendto(FIRST, "", 0, 0, (struct sockaddr *)&name, len), 0);
    assert_int_equal(sendto(FIRST, &m, sizeof(m), 0, (struct sockaddr *)&name, len), sizeof(m)); /* no fd */
    far = give(1, 70, 64, NOW, 0);
    assert_int_equal(take(1, NOW), 70);
    assert_int_equal(take(1, NOW), 0);
    assert_int_equal(tree_count(&tree), 0);
    close(far);
}

enum { OTHER_USER = 61240, LINGER_S = 1 };

static int make_listener(struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(fd, (struct sockaddr *)at, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

/* As another user, who has the queues: a message with a connection that lingers at its close. */
static _Noreturn void send_as_other(unsigned queue, const struct sockaddr_in *at)
{
    static char much[1 << 20];
    const struct linger on = { 1, LINGER_S };
    struct sockaddr_un name;
    socklen_t len = tree_name(&tree, queue, &name);
    struct iovec piece = { much, 10 };
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct msghdr m = { .msg_name = &name, .msg_namelen = len, .msg_iov = &piece, .msg_iovlen = 1,
                        .msg_control = control, .msg_controllen = sizeof(control) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (setresuid(OTHER_USER, OTHER_USER, OTHER_USER) != 0 || connect(fd, (const struct sockaddr *)at, sizeof(*at)) != 0)
        _exit(1);
    while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
        ;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &on, sizeof(on));
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                           .cmsg_len = CMSG_LEN(sizeof(int)) };
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
    _exit(sendmsg(FIRST, &m, MSG_DONTWAIT) == 10 ? 0 : 2);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* It is left where it lies, and the queue is not used any further; the others are. */
static void test_queue_of_another_user(void **state)
{
    struct endpoint to = endpoint_number(1), its;
    unsigned queue = endpoint_hash(&to) % TREE_QUEUES, other = 2;
    struct sockaddr_in at;
    struct idle old;
    int status = 0, first, listener = make_listener(&at);

    (void)state;
    if (geteuid() != 0)
        skip();
    for (bool same = true; same; other += same) {
        to = endpoint_number(other);
        same = endpoint_hash(&to) % TREE_QUEUES == queue;
    }
    first = give(1, 50, 64, NOW, 0);
    pid_t child = fork();
    if (child == 0)
        send_as_other(queue, &at);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    double start = seconds();
    assert_int_equal(take(1, NOW), 50); /* what lies before it */
    assert_int_equal(take(1, NOW), 0);
    close(give(1, 51, 64, NOW, -EPERM));
    assert_int_equal(tree_take_old(&tree, queue, 0, &its, &old, NOW), -ENOENT);
    close(give(other, 52, 64, NOW, 0));
    assert_int_equal(take(other, NOW), 52);
    assert_true(seconds() - start < LINGER_S / 2.0);
    assert_int_equal(recv(FIRST + (int)queue, &old, 1, MSG_PEEK | MSG_DONTWAIT), 1);
    close(first);
    close(listener);
}

#define QUEUE_TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, unmake_tree)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_queue_first_in_first_out),
        QUEUE_TEST(test_queue_endpoints_apart),
        QUEUE_TEST(test_queue_expired),
        QUEUE_TEST(test_queue_dead),
        QUEUE_TEST(test_queue_limit),
        QUEUE_TEST(test_queue_full),
        QUEUE_TEST(test_queue_full_of_old),
        QUEUE_TEST(test_queue_wanted),
        QUEUE_TEST(test_queue_release_place), QUEUE_TEST(test_queue_gone),
        QUEUE_TEST(test_queue_lives),
        QUEUE_TEST(test_queue_foreign),
        QUEUE_TEST(test_queue_of_another_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
