/* SPDX-License-Identifier: ISC */
/* Those who talk to the broker, each by a connection: a launcher and the processes that it was handed down
 * to, or a process by itself.  It lasts for as long as one of them lives, which is how the broker knows that
 * it is of use; nothing is remembered of it. */
#define _GNU_SOURCE
#include "broker/broker.h"

#include "base/kernel.h"
#include "base/log.h"
#include "pool/beside.h"
#include "pool/broker.h"
#include "pool/tree_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    ACCEPTS_AT_ONCE = 64,
    REQUESTS_AT_ONCE = 16, /* then the others have their turn */
    MORE = 3,              /* follow into the queue when an endpoint is asked for again at once */
    AGAIN_MS = 200,
    COMPLAIN_EVERY_MS = 1000,
};

struct line {
    int fd;
    struct line *next, **link; /* link: what points here */
};

static void close_line(struct broker *b, struct line *line)
{
    *line->link = line->next;
    if (line->next)
        line->next->link = line->link;
    b->calls.close(line->fd);
    b->lines_count--;
    free(line);
}

bool lines_add(struct broker *b, int fd)
{
    struct line *line = b->lines_count < b->lines_most ? malloc(sizeof *line) : NULL;

    if (!line) {
        b->calls.close(fd);
        return false;
    }
    *line = (struct line){ .fd = fd, .next = b->lines, .link = &b->lines };
    if (line->next)
        line->next->link = &line->next;
    b->lines = line;
    b->lines_count++;
    if (broker_watch(b, fd, EPOLLIN | EPOLLRDHUP, (uint64_t)(uintptr_t)line | EVENT_LINE))
        return true;
    close_line(b, line);
    return false;
}

/* Of whoever connected, as the kernel knows him. */
static bool is_welcome(const struct broker *b, int fd)
{
    struct ucred his = { .uid = UINT32_MAX };
    socklen_t len = sizeof his;

    if (b->calls.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &his, &len) == 0 && his.uid == kernel_euid())
        return true;
    log_printf("refused a connection of user %ld, process %ld", (long)his.uid, (long)his.pid);
    return false;
}

/* What he has sent already is taken out before: the kernel would close it within our close, and wait for it as its
 * SO_LINGER says. */
static void turn_away(struct broker *b, int fd)
{
    enum { MESSAGES_MOST = 512 };
    struct beside beside;
    char byte;

    b->calls.shutdown(fd, SHUT_RDWR);
    for (int i = 0; i < MESSAGES_MOST && beside_receive(&b->calls, fd, &byte, sizeof byte, 0, &beside) > 0; i++)
        beside_close(&b->calls, &beside);
    b->calls.close(fd);
}

void lines_accept(struct broker *b)
{
    const int on = 1;

    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        int fd = accept4(b->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        /* Who connected before the listener was ours has not inherited it (Linux 6.16). */
        b->calls.setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
        if (!is_welcome(b, fd))
            turn_away(b, fd);
        else if (!lines_add(b, fd))
            log_printf("refused a connection: %u are open", b->lines_count);
    }
}

static void answer(struct broker *b, int fd, struct broker_reply *reply, const struct beside *beside)
{
    const struct iovec piece = { reply, sizeof *reply };

    reply->netns = b->netns;
    reply->started_ms = b->started_ms;
    reply->pid = (uint32_t)getpid();
    int result = beside_send(&tree_calls_plain, fd, &piece, beside, NULL, 0);
    if (result != 0)
        log_printf("an answer could not be sent: %s", strerror(-result));
}

static void say_hello(struct broker *b, int fd)
{
    struct broker_reply reply;
    struct beside kit = { .count = BROKER_KIT };

    for (int i = 0; i < BROKER_KIT; i++)
        kit.fds[i] = b->tree.first + i;
    broker_reply_write(&reply, BROKER_HELLO);
    tree_text(&b->tree, reply.tree);
    answer(b, fd, &reply, &kit);
}

static void tell_status(struct broker *b, int fd)
{
    struct broker_reply reply;
    struct beside beside = { .fds = { memfd_create("holdfast-status", MFD_CLOEXEC) }, .count = 1 };

    if (beside.fds[0] < 0)
        return;
    broker_reply_write(&reply, BROKER_STATUS);
    int records = hoard_write_records(&b->hoard, beside.fds[0]);
    reply.records = records > 0 ? (uint32_t)records : 0;
    answer(b, fd, &reply, &beside);
    beside_close(&b->calls, &beside);
}

/* One that another may still want goes back. */
static bool hand_over(struct broker *b, int fd, const struct endpoint *to, const struct idle *idle, uint64_t now_ms)
{
    struct tree_message message;
    const struct iovec piece = { &message, sizeof message };
    const struct beside beside = { .fds = { idle->fd }, .count = 1 };

    tree_message_write(&message, to, idle);
    int result = fd >= 0 ? beside_send(&b->calls, fd, &piece, &beside, NULL, 0) : tree_return(&b->tree, to, idle);
    if (result == 0)
        b->calls.close(idle->fd);
    else
        hoard_keep(&b->hoard, to, idle, now_ms);
    return result == 0;
}

static void give_more(struct broker *b, const struct endpoint *to, const struct wanted *wanted, uint64_t now_ms)
{
    uint32_t hash = endpoint_hash(to);
    bool again = hash == b->last_asked && now_ms - b->last_asked_ms <= AGAIN_MS;
    struct idle idle;

    b->last_asked = hash;
    b->last_asked_ms = now_ms;
    for (int i = 0; again && i < MORE && hoard_take(&b->hoard, to, wanted, &idle, now_ms) == 0; i++)
        again = hand_over(b, -1, to, &idle, now_ms);
}

static void give(struct broker *b, int fd, const struct endpoint *to, const struct wanted *wanted)
{
    uint64_t now_ms = broker_now_ms();
    struct broker_reply none;
    struct idle idle;

    if (to->uid == kernel_euid() && to->netns == b->netns &&
        hoard_take(&b->hoard, to, wanted, &idle, now_ms) == 0) {
        if (hand_over(b, fd, to, &idle, now_ms))
            give_more(b, to, wanted, now_ms);
        return;
    }
    broker_reply_write(&none, BROKER_ASK);
    answer(b, fd, &none, NULL);
}

/* Who became another user and kept the line: its others go on. */
static bool refuse_sender(struct broker *b)
{
    uint64_t now_ms = broker_now_ms();

    if (now_ms - b->last_complaint_ms >= COMPLAIN_EVERY_MS)
        log_printf("refused a message of another user");
    b->last_complaint_ms = now_ms;
    return true;
}

/* False: it does not talk as it should. */
static bool serve(struct broker *b, const struct line *line, const struct broker_request *request, size_t len,
                  const struct beside *beside)
{
    struct endpoint to;
    struct wanted wanted;
    int kind = broker_request_read(request, len, &to, &wanted);
    bool with_socket = kind == BROKER_ASK || kind == BROKER_STATUS;

    if (!beside->ours)
        return refuse_sender(b);
    if (kind < 0 || !beside->whole || beside->count != with_socket)
        return false;
    if (kind == BROKER_HELLO)
        say_hello(b, line->fd);
    else if (kind == BROKER_STATUS)
        tell_status(b, beside->fds[0]);
    else if (kind == BROKER_RELEASE)
        hoard_release_place(&b->hoard, &to);
    else
        give(b, beside->fds[0], &to, &wanted);
    return true;
}

/* 0, or -errno: the line has ended, or has to. */
static int read_one(struct broker *b, const struct line *line)
{
    struct broker_request request;
    struct beside beside;
    ssize_t len = beside_receive(&b->calls, line->fd, &request, sizeof request, 1, &beside);

    if (len < 0)
        return (int)len;
    bool served = len > 0 && serve(b, line, &request, (size_t)len, &beside);
    beside_close(&b->calls, &beside);
    if (len > 0 && !served)
        log_printf("a message of %zd bytes was not understood: its line is closed", len);
    return served ? 0 : -EPIPE;
}

void lines_read(struct broker *b, struct line *line, uint32_t events)
{
    int result = 0;

    (void)events;
    for (int i = 0; i < REQUESTS_AT_ONCE && result == 0; i++)
        result = read_one(b, line);
    if (result != 0 && result != -EAGAIN && result != -EINTR)
        close_line(b, line);
}

void lines_close(struct broker *b)
{
    for (struct line *next, *line = b->lines; line; line = next) {
        next = line->next;
        close_line(b, line);
    }
}
