/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "pool/beside.h"

#include "base/block.h"
#include "base/kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { ROOM = CMSG_SPACE(BESIDE_MOST * sizeof(int)) };

static void read_fds(const struct tree_calls *calls, const struct cmsghdr *c, size_t len, struct beside *beside)
{
    for (size_t i = 0; i < len / sizeof(int); i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        if (beside->count < BESIDE_MOST) {
            beside->fds[beside->count++] = fd;
        } else {
            beside_close_one(calls, fd);
            beside->whole = false;
        }
    }
}

static void read_control(const struct tree_calls *calls, struct msghdr *msg, struct beside *beside)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t len = c->cmsg_len - CMSG_LEN(0);
        struct ucred sender;

        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS) {
            read_fds(calls, c, len, beside);
        } else if (c->cmsg_type == SCM_CREDENTIALS && len == sizeof sender) {
            memcpy(&sender, CMSG_DATA(c), sizeof sender);
            beside->ours = sender.uid == kernel_uid();
        }
    }
}

enum { CREDENTIALS = CMSG_SPACE(sizeof(struct ucred)) };

/* What comes beside the bytes lies in `control`, of `most` bytes. */
static ssize_t receive(const struct tree_calls *calls, int fd, struct iovec piece, int flags, char *control, size_t most,
                       struct beside *beside)
{
    struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = most };

    *beside = (struct beside){ .count = 0 };
    ssize_t got = calls->recvmsg(fd, &msg, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return -errno;
    beside->whole = !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    read_control(calls, &msg, beside);
    return got;
}

ssize_t beside_receive(const struct tree_calls *calls, int fd, void *bytes, size_t len, size_t most,
                       struct beside *beside)
{
    /* For all that a message can have: what found no room the kernel would close within our call, and wait for it as its
     * SO_LINGER says.  The stack may be small. */
    const size_t room = CMSG_SPACE(BESIDE_ROOM * sizeof(int)) + CREDENTIALS;
    char *control = block_get(room, NULL);

    *beside = (struct beside){ .count = 0 };
    if (!control)
        return -ENOMEM;
    ssize_t got = receive(calls, fd, (struct iovec){ bytes, len }, 0, control, room, beside);
    block_put(control, room);
    if (got >= 0 && beside->count > most)
        beside->whole = false;
    return got;
}

ssize_t beside_peek(const struct tree_calls *calls, int fd, void *bytes, size_t len, bool *ours)
{
    char control[CREDENTIALS] __attribute__((aligned(__alignof__(struct cmsghdr))));
    struct beside beside;
    ssize_t got = receive(calls, fd, (struct iovec){ bytes, len }, MSG_PEEK, control, sizeof control, &beside);

    *ours = beside.ours;
    return got;
}

void beside_close_one(const struct tree_calls *calls, int fd)
{
    const struct linger none = { .l_onoff = 0 };

    calls->setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    calls->close(fd);
}

void beside_close(const struct tree_calls *calls, struct beside *beside)
{
    for (size_t i = 0; i < beside->count; i++)
        beside_close_one(calls, beside->fds[i]);
    beside->count = 0;
}

int beside_send(const struct tree_calls *calls, int fd, const struct iovec *message,
                const struct beside *beside, const struct sockaddr_un *name, socklen_t name_len)
{
    union {
        struct cmsghdr head;
        char room[ROOM];
    } control;
    struct msghdr msg = {
        .msg_name = (void *)(uintptr_t)name,
        .msg_namelen = name_len,
        .msg_iov = (struct iovec *)(uintptr_t)message,
        .msg_iovlen = 1,
    };

    if (beside && beside->count) {
        const size_t size = beside->count * sizeof(int);
        msg.msg_control = control.room;
        msg.msg_controllen = CMSG_SPACE(size);
        memset(control.room, 0, msg.msg_controllen);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(&control.head), beside->fds, size);
    }
    return calls->sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
