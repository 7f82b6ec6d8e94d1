/* SPDX-License-Identifier: ISC */
/* What the broker is told over its lines, and what it finds in the queues: messages that were changed, or never
 * were any, with whatever descriptors beside them, on real sockets.  It goes on for those who ask properly,
 * gives them nothing but what they asked for, and holds no descriptor afterwards that it should not. */
#define _GNU_SOURCE
#include "broker/broker.h"
#include "pool/beside.h"
#include "pool/broker.h"
#include "pool/tree_message.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIRST = 400, FDS = 600, LINES = 4, OPS_MOST = 64, NETNS = 77, IDLE_MS = 5000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct broker b;
static int client[LINES]; /* our ends */
static const uint8_t *input, *input_end;

static unsigned byte(void)
{
    return input < input_end ? *input++ : 0;
}

/* All is kept in one namespace that no socket is in: so the kernel's answer must not matter. */
static int getsockopt_here(int fd, int level, int name, void *value, socklen_t *len)
{
    const uint64_t netns = NETNS;

    if (level != SOL_SOCKET || name != 71 /* SO_NETNS_COOKIE */)
        return getsockopt(fd, level, name, value, len);
    memcpy(value, &netns, sizeof(netns));
    return 0;
}

static unsigned open_fds(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < FDS; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void set_up(void)
{
    struct rlimit limit = { FDS, FDS };

    if (b.tree.first)
        return;
    setrlimit(RLIMIT_NOFILE, &limit);
    b.calls = tree_calls_plain;
    b.calls.getsockopt = getsockopt_here;
    b.netns = NETNS;
    b.lines_most = LINES;
    assert_int_equal(tree_create(&b.tree, &b.calls, FIRST, TREE_MOST, geteuid()), 0);
    assert_int_equal(tree_add_board(&b.tree, BOARD_BROKER, broker_now_ms()), 0);
    b.tree.board = board_map(FIRST + TREE_BOARD);
    b.epoll = epoll_create1(EPOLL_CLOEXEC);
}

static struct endpoint endpoint_of(unsigned n)
{
    return (struct endpoint){ .family = AF_INET, .port = (uint16_t)(1 + n % 3), .address = { 127, 0, 0, 1 },
                              .uid = geteuid(), .netns = NETNS };
}

static void new_line(unsigned i)
{
    int ends[2], on = 1;

    if (client[i] >= 0)
        close(client[i]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    client[i] = ends[0];
    lines_add(&b, ends[1]); /* or, if there are too many, hangs up */
}

/* Whatever lines have something for the broker. */
static void run(void)
{
    struct epoll_event events[64];
    int n;

    while ((n = epoll_wait(b.epoll, events, 64, 0)) > 0)
        for (int i = 0; i < n; i++) {
            uint64_t kind = events[i].data.u64 % EVENT_KINDS;
            if (kind == EVENT_LINE)
                lines_read(&b, (struct line *)(uintptr_t)(events[i].data.u64 - EVENT_LINE), events[i].events);
            else if (kind == EVENT_ENTRY)
                hoard_look(&b.hoard, events[i].data.ptr);
            else
                sweep_wake(&b, (unsigned)(events[i].data.u64 / EVENT_KINDS));
        }
}

static void change(void *message, size_t len)
{
    for (unsigned i = byte() % 4; i > 0; i--) {
        size_t at = (byte() << 8 | byte()) % len;
        ((uint8_t *)message)[at] ^= (uint8_t)byte();
    }
}

/* Descriptors of some kind; they are ours to close. */
static void make_fds(struct beside *beside)
{
    int ends[2];

    beside->count = byte() % 5;
    for (size_t i = 0; i < beside->count; i++) {
        if (byte() % 2) {
            beside->fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        } else {
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
            beside->fds[i] = ends[0];
            close(ends[1]);
        }
    }
}

static void say_something(void)
{
    char room[3 * sizeof(struct broker_request)] = { 0 };
    struct broker_request request;
    struct beside beside;
    struct endpoint to = endpoint_of(byte());
    struct wanted wanted = { .any = byte() & 1, .absolute = byte() & 1, .host = byte() % 2 };
    unsigned line = byte() % LINES, how = byte();
    enum broker_kind kind = (enum broker_kind)(1 + byte() % 4);

    broker_request_write(&request, kind, kind == BROKER_ASK ? &to : NULL, &wanted);
    change(&request, sizeof(request));
    memcpy(room, &request, sizeof(request));
    struct iovec piece = { room, how & 1 ? (byte() << 8 | byte()) % sizeof(room) : sizeof(request) };
    make_fds(&beside);
    beside_send(&tree_calls_plain, client[line], &piece, &beside, NULL, 0);
    beside_close(&tree_calls_plain, &beside);
    if (how & 2)
        run();
    if (how & 4)
        new_line(line);
}

static struct idle idle_of(int fd)
{
    struct idle idle = { .fd = fd, .nonblocking = true, .absolute = byte() & 1, .requests = 1, .max_left = -1, .idle_ms = 1 + byte() * 20,
                         .parked_ms = broker_now_ms() - 4 * byte(), .opened_ms = 1, .host = byte() % 2 };
    socklen_t len = sizeof(idle.cookie);

    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &idle.cookie, &len);
    return idle;
}

/* Into a queue, as a process would, with a message that may be another; its far end is closed, now or not. */
static void park_something(void)
{
    struct endpoint to = endpoint_of(byte());
    unsigned how = byte();
    struct tree_message message;
    struct sockaddr_un *name = calloc(1, 256);
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct idle idle = idle_of(ends[0]);
    if (how & 1)
        to.uid++;
    if (how & 2)
        to.netns++;
    tree_message_write(&message, &to, &idle);
    if (how & 4)
        change(&message, sizeof(message));
    const struct iovec piece = { &message, sizeof(message) };
    const struct beside beside = { .fds = { ends[0] }, .count = 1 };
    socklen_t len = tree_name(&b.tree, how & 8 ? byte() % TREE_QUEUES : endpoint_hash(&to) % TREE_QUEUES, name);
    beside_send(&tree_calls_plain, FIRST, &piece, &beside, name, len);
    free(name);
    close(ends[0]);
    if (how & 16 || client[0] < 0)
        close(ends[1]);
    else
        idle.fd = ends[1], hoard_keep(&b.hoard, &to, &idle, broker_now_ms()); /* both ends are as good */
}

/* A question as it should be: what comes, if something does, is what was asked for. */
static void ask_properly(void)
{
    struct endpoint to = endpoint_of(byte()), its;
    struct wanted wanted = { .any = byte() & 1, .absolute = byte() & 1, .host = byte() % 2 };
    struct broker_request request;
    struct tree_message message;
    struct idle out;
    int ends[2], on = 1;

    close(client[0]);
    client[0] = -1;
    run(); /* it has to notice before there is room for another one */
    new_line(0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    broker_request_write(&request, BROKER_ASK, &to, &wanted);
    const struct iovec piece = { &request, sizeof(request) };
    const struct beside beside = { .fds = { ends[1] }, .count = 1 };
    int result = beside_send(&tree_calls_plain, client[0], &piece, &beside, NULL, 0);
    close(ends[1]);
    run();
    if (result == 0)
        result = tree_receive(&tree_calls_plain, ends[0], &message, &its, &out, broker_now_ms());
    assert_true(result == 0 || result == -EBADMSG); /* it answers */
    if (result == 0) {
        assert_true(endpoint_equal(&its, &to));
        assert_int_equal(pool_mismatch(&out, &wanted), REASON_none);
        close(out.fd);
    }
    close(ends[0]);
}

/* What is left in the queues that the broker does not keep: others' messages. */
static void empty_queues(void)
{
    struct beside beside;
    char room[1024];

    for (int i = 0; i < TREE_QUEUES; i++)
        while (beside_receive(&tree_calls_plain, FIRST + i, room, sizeof(room), BESIDE_MOST - 4, &beside) >= 0)
            beside_close(&tree_calls_plain, &beside);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    set_up();
    unsigned before = open_fds();
    hoard_init(&b.hoard, &b.calls, b.tree.board, b.epoll, 60, 20);
    sweep_begin(&b);
    for (unsigned i = 0; i < LINES; i++) {
        client[i] = -1;
        new_line(i);
    }
    input = data;
    input_end = data + len;
    for (int i = 0; i < OPS_MOST && input < input_end; i++)
        switch (byte() % 5) {
        case 0:
        case 1:
            say_something();
            break;
        case 2:
            park_something();
            break;
        case 3:
            ask_properly();
            break;
        default:
            run();
            sweep(&b, broker_now_ms());
            hoard_expire(&b.hoard, broker_now_ms() + byte() * 20);
        }
    run();
    ask_properly();
    lines_close(&b);
    hoard_close(&b.hoard);
    sweep_drain(&b);
    for (unsigned i = 0; i < BOARD_BUCKETS; i++)
        assert_int_equal(b.tree.board->hoard[i], 0);
    empty_queues();
    for (unsigned i = 0; i < LINES; i++)
        close(client[i]);
    for (int i = 0; i < TREE_QUEUES; i++)
        epoll_ctl(b.epoll, EPOLL_CTL_DEL, FIRST + i, NULL);
    assert_int_equal(open_fds(), before);
    return 0;
}
