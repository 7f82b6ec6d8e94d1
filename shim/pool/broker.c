/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "pool/broker.h"

#include "base/kernel.h"
#include "base/syscalls.h"
#include "pool/beside.h"
#include "pool/board.h"
#include "pool/tree_message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static int wait_for(const struct tree_calls *calls, int fd, int wait_ms)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    int n = calls->poll(&wait, 1, wait_ms);

    return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int connect_to(const struct tree_calls *calls, const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct ucred its;
    socklen_t len = sizeof its;
    int fd = calls->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result = 0;

    if (fd < 0)
        return -errno;
    memccpy(name.sun_path, path, '\0', sizeof name.sun_path - 1);
    if (calls->connect(fd, (struct sockaddr *)&name, sizeof name) != 0)
        result = errno == EAGAIN ? -ETIMEDOUT : -errno;
    else if (calls->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &its, &len) != 0 || its.uid != kernel_euid())
        result = -EPERM;
    if (result == 0)
        return fd;
    calls->close(fd);
    return result;
}

static int send_request(const struct tree_calls *calls, int fd, const struct broker_request *request,
                        const struct beside *beside)
{
    const struct iovec piece = { (void *)(uintptr_t)request, sizeof *request };

    return beside_send(calls, fd, &piece, beside, NULL, 0);
}

/* The kit comes beside the answer. */
static int say_hello(const struct tree_calls *calls, int line, int wait_ms, struct broker_reply *reply,
                     struct beside *kit)
{
    struct broker_request request;

    broker_request_write(&request, BROKER_HELLO, NULL, NULL);
    int result = send_request(calls, line, &request, NULL);
    if (result == 0)
        result = wait_for(calls, line, wait_ms);
    if (result != 0)
        return result;
    ssize_t len = beside_receive(calls, line, reply, sizeof *reply, BROKER_KIT, kit);
    if (len <= 0)
        return len < 0 ? (int)len : -ECONNREFUSED; /* it ends just now */
    result = broker_reply_read(reply, (size_t)len, BROKER_HELLO, reply);
    if (result == 0 && (!kit->whole || kit->count != BROKER_KIT))
        result = -EBADMSG;
    if (result != 0)
        beside_close(calls, kit);
    return result;
}

/* They are what they should be, and under their numbers. */
static bool is_whole(const struct tree *t)
{
    for (unsigned i = 0; i < TREE_QUEUES; i++)
        if (!tree_has(t, i))
            return false;
    return tree_board(t) == BOARD_BROKER;
}

/* Without beside_close's care: these are queues, which others hold as well. */
static void close_kit(const struct tree *t, struct beside *kit)
{
    for (size_t i = 0; i < kit->count; i++)
        t->calls->close(kit->fds[i]);
    kit->count = 0;
}

/* Each fd goes to its number, which must not be that of another one still to be moved. */
static int settle(struct tree *t, struct beside *kit, int flags)
{
    int result = kit->count == BROKER_KIT ? 0 : -EBADF;

    for (size_t i = 0; i < kit->count; i++)
        if (kit->fds[i] >= t->first)
            result = -EMFILE;
    for (size_t i = 0; i < kit->count && result == 0; i++)
        if (t->calls->dup3(kit->fds[i], t->first + (int)i, flags) < 0)
            result = -errno;
    close_kit(t, kit);
    if (result == 0 && !is_whole(t))
        result = -EBADMSG;
    if (result != 0)
        tree_destroy(t);
    return result;
}

static int read_tree(struct tree *t, const struct tree_calls *calls, const char *text, int *its_first, int first)
{
    if (tree_parse(t, calls, text) != 0 || t->uid != kernel_euid())
        return -EBADMSG;
    *its_first = t->first;
    t->first = first;
    return 0;
}

/* Yama in its stricter modes logs who tries; else the broker lets everybody who may (prctl(2)). */
static bool may_look(void)
{
    char mode = '0';
    int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return true;
    ssize_t n = pread(fd, &mode, 1, 0);
    close(fd);
    return n != 1 || mode <= '1';
}

/* Copies the kit.  Whether it is the broker's is seen by what it is, not by whose number that is. */
static int fetch(struct tree *t, const struct tree_calls *calls, const struct broker_door *door, int first,
                 int flags)
{
    struct broker_whereabouts who;
    struct beside kit = { .count = 0 };
    int its_first;

    if (!may_look() || !broker_place_read(door->place, &who) || who.netns != door->netns ||
        read_tree(t, calls, who.tree, &its_first, first) != 0)
        return -EBADMSG;
    int process = (int)syscall(SYS_pidfd_open, who.pid, 0);
    if (process < 0)
        return -errno;
    for (; kit.count < BROKER_KIT; kit.count++) {
        kit.fds[kit.count] = (int)syscall(SYS_pidfd_getfd, process, its_first + (int)kit.count, 0);
        if (kit.fds[kit.count] < 0)
            break;
    }
    calls->close(process);
    return settle(t, &kit, flags);
}

static int be_given(struct tree *t, const struct tree_calls *calls, int line, const struct broker_door *door,
                    int first, int flags)
{
    struct broker_reply reply = { .magic = 0 };
    struct beside kit = { .count = 0 };
    int unused, result = say_hello(calls, line, door->wait_ms, &reply, &kit);

    if (result != 0)
        return result;
    if (reply.netns != door->netns || read_tree(t, calls, reply.tree, &unused, first) != 0) {
        beside_close(calls, &kit);
        return -EBADMSG;
    }
    return settle(t, &kit, flags);
}

static int place_line(struct tree *t, int line, int flags)
{
    int result = tree_mark_line(t, line);

    if (result == 0 && t->calls->dup3(line, t->first + TREE_LINE, flags) < 0)
        result = -errno;
    if (result != 0)
        tree_destroy(t);
    return result;
}

int broker_join(struct tree *t, const struct tree_calls *calls, const struct broker_door *door, int first,
                int flags)
{
    int line = connect_to(calls, door->place->socket);

    if (line == -ENOENT || line == -ECONNREFUSED)
        line = connect_to(calls, door->place->activated);
    if (line < 0)
        return line;
    int result = fetch(t, calls, door, first, flags);
    if (result != 0)
        result = be_given(t, calls, line, door, first, flags);
    if (result == 0)
        result = place_line(t, line, flags);
    calls->close(line);
    return result;
}

/* Sends a request with a socket for the answer, and waits; returns our end of that, or -errno. */
static int request_answer(const struct tree *t, enum broker_kind kind, const struct endpoint *to,
                          const struct wanted *wanted, int wait_ms)
{
    struct broker_request request;
    int ends[2], on = 1;

    broker_request_write(&request, kind, to, wanted);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    const struct beside far = { .fds = { ends[1] }, .count = 1 };
    int result = 0;
    if (t->calls->setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
        result = -errno;
    if (result == 0)
        result = send_request(t->calls, t->first + TREE_LINE, &request, &far);
    t->calls->close(ends[1]);
    if (result == 0)
        result = wait_for(t->calls, ends[0], wait_ms);
    if (result == 0)
        return ends[0];
    t->calls->close(ends[0]);
    return result == -EAGAIN ? -ETIMEDOUT : result; /* it does not even read what it is asked */
}

int broker_ask(const struct tree *t, const struct endpoint *to, const struct wanted *wanted,
               struct idle *out, uint64_t now_ms)
{
    struct tree_message message;
    struct endpoint its;
    int answer = request_answer(t, BROKER_ASK, to, wanted, BROKER_WAIT_MS);

    if (answer < 0)
        return answer;
    int result = tree_receive(t->calls, answer, &message, &its, out, now_ms);
    t->calls->close(answer);
    if (result != 0)
        return -ENOENT;
    if (endpoint_equal(&its, to) && pool_mismatch(out, wanted) == REASON_none)
        return 0;
    t->calls->close(out->fd);
    return -ENOENT;
}

int broker_release(const struct tree *t, const struct endpoint *to)
{
    struct broker_request request;

    broker_request_write(&request, BROKER_RELEASE, to, NULL);
    return send_request(t->calls, t->first + TREE_LINE, &request, NULL);
}

int broker_status(const struct tree *t, struct broker_reply *reply, int *file, int wait_ms)
{
    struct beside beside;
    int answer = request_answer(t, BROKER_STATUS, NULL, NULL, wait_ms);

    if (answer < 0)
        return answer;
    ssize_t len = beside_receive(t->calls, answer, reply, sizeof *reply, 1, &beside);
    t->calls->close(answer);
    if (len < 0)
        return (int)len;
    int result = broker_reply_read(reply, (size_t)len, BROKER_STATUS, reply);
    if (result == 0 && beside.count == 1) {
        *file = beside.fds[0];
        return 0;
    }
    beside_close(t->calls, &beside);
    return result != 0 ? result : -EBADMSG;
}
