/* SPDX-License-Identifier: ISC */
/* That nobody else's message can get into the queues of a tree (shim/pool/tree.c), at no moment while they are made,
 * and what it would cost to take one out.  Strangers are sockets of this process: who has made a socket does not
 * matter to the kernel here, only which socket sends. */
#define _GNU_SOURCE
#include "assume.h"

#include <linux/filter.h>
#include <stddef.h>
#include <sys/un.h>
#include <time.h>

enum { SIZE = 240, LINGER_S = 1, FULL = 100000 };

static struct sockaddr_un names[2];
static socklen_t name_len[2];

static int fresh(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    need(fd >= 0, "socket");
    return fd;
}

static void name_it(int fd, int i)
{
    int on = 1;

    names[i] = (struct sockaddr_un){ .sun_family = AF_UNIX };
    name_len[i] = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
                  (socklen_t)snprintf(names[i].sun_path + 1, sizeof(names[i].sun_path) - 1, "assume-closed-%d-%d",
                                      (int)getpid(), i);
    need(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0, "SO_PASSCRED");
    check(bind(fd, (struct sockaddr *)&names[i], name_len[i]) == 0, "a name, also after a connect");
}

static int connect_to(int fd, int i)
{
    return connect(fd, (struct sockaddr *)&names[i], name_len[i]);
}

static ssize_t put(int from, int i, int beside)
{
    char data[SIZE] = { 'x' }, control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec piece = { data, sizeof(data) };
    struct msghdr m = { .msg_name = &names[i], .msg_namelen = name_len[i], .msg_iov = &piece, .msg_iovlen = 1 };

    if (beside >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof(control);
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                               .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &beside, sizeof(int));
    }
    return sendmsg(from, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_empty(int fd)
{
    char data[SIZE];

    return recv(fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

static bool is_refused(int stranger, int i)
{
    errno = 0;
    return put(stranger, i, -1) == -1 && errno == EPERM;
}

static void never_open(void)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = { .len = 1, .filter = &drop };
    int first = fresh(), second = fresh(), stranger = fresh(), early = fresh(), none = 0;

    check(setsockopt(first, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0,
          "a filter on a socket without a name");
    name_it(first, 0);
    check(put(stranger, 0, -1) == SIZE && is_empty(first), "a stranger's message is dropped by the filter");
    check(connect_to(early, 0) == 0 && send(early, "x", 1, 0) == 1 && is_empty(first), "... by a connected one, too");
    check(connect_to(second, 0) == 0, "the second connects to the first");
    name_it(second, 1);
    check(is_refused(stranger, 1) && is_refused(early, 1), "EPERM from when it has a name: it is connected already");
    check(connect_to(first, 0) == 0, "the first connects to itself");
    check(setsockopt(first, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)) == 0, "the filter goes");
    check(is_refused(stranger, 0), "EPERM from the first, too");
    errno = 0;
    check(send(early, "x", 1, 0) == -1 && errno == EPERM, "... for one that connected before");
    check(connect_to(stranger, 0) == -1 && errno == EPERM, "and nobody connects to it any more");
    check(put(first, 0, -1) == SIZE && put(first, 1, -1) == SIZE && !is_empty(first) && !is_empty(second),
          "the first sends to both");
    close(first), close(second), close(stranger), close(early);
}

/* A connection that waits for LINGER_S at its last close: what was sent on it is not acknowledged. */
static int lingering(int *theirs)
{
    const struct linger on = { 1, LINGER_S };
    int ours, small = 4096;
    char bytes[FULL] = { 0 };

    tcp_pair(&ours, theirs);
    setsockopt(*theirs, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    while (send(ours, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    need(setsockopt(ours, SOL_SOCKET, SO_LINGER, &on, sizeof(on)) == 0, "SO_LINGER");
    return ours;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Takes the message with room for `room` bytes of what is beside it, and closes what came. */
static double take_and_close(int fd, size_t room, bool no_linger)
{
    char data[SIZE], control[CMSG_SPACE(sizeof(int))];
    struct iovec piece = { data, sizeof(data) };
    struct msghdr m = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room };
    const struct linger none = { 0, 0 };
    double start = now();
    int got = -1;

    check(recvmsg(fd, &m, MSG_DONTWAIT) == SIZE, "the message");
    if (m.msg_controllen >= CMSG_LEN(sizeof(int)))
        memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(got));
    if (no_linger)
        setsockopt(got, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(got);
    return now() - start;
}

static void lingers(void)
{
    struct {
        size_t room;
        bool no_linger, waits;
        const char *fact;
    } cases[] = {
        { CMSG_SPACE(sizeof(int)), false, true, "whoever closes what came beside a message waits, as its sender likes" },
        { 0, false, true, "... also if there was no room for it, and the kernel closes it" },
        { CMSG_SPACE(sizeof(int)), true, false, "... not with SO_LINGER taken off before" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int pair[2], theirs;

        need(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
        name_len[0] = 0;
        int ours = lingering(&theirs);
        check(put(pair[0], 0, ours) == SIZE, "sent");
        close(ours);
        double start = now();
        check(!is_empty(pair[1]) && now() - start < LINGER_S / 2.0, "a peek waits for nothing");
        check((take_and_close(pair[1], cases[i].room, cases[i].no_linger) > LINGER_S / 2.0) == cases[i].waits,
              cases[i].fact);
        close(pair[0]), close(pair[1]), close(theirs);
    }
}

int main(void)
{
    never_open();
    lingers();
    return 0;
}
