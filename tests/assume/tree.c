/* SPDX-License-Identifier: ISC */
/* What the queues of a tree of processes (shim/pool/tree.h) rely on: datagram sockets with abstract names,
 * all connected to the first, which is connected to itself. */
#define _GNU_SOURCE
#include "assume.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF 42
#endif

enum { QUEUES = 3, SIZE = 240, USER = 61237, MANY = 40, LIMIT = 20 };

static int queue[QUEUES];
static struct sockaddr_un name[QUEUES];
static socklen_t name_len[QUEUES];

static socklen_t name_it(struct sockaddr_un *a, const char *who, int i)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    return (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
           (socklen_t)snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "assume-tree-%d-%s-%d", (int)getpid(), who, i);
}

static void make_queues(void)
{
    int on = 1;

    for (int i = 0; i < QUEUES; i++) {
        queue[i] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        name_len[i] = name_it(&name[i], "queue", i);
        need(queue[i] >= 0 && setsockopt(queue[i], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0, "socket");
        need(bind(queue[i], (struct sockaddr *)&name[i], name_len[i]) == 0, "an abstract name");
    }
    for (int i = QUEUES - 1; i >= 0; i--)
        check(connect(queue[i], (struct sockaddr *)&name[0], name_len[0]) == 0, "all connect to the first");
}

static void close_queues(void)
{
    for (int i = 0; i < QUEUES; i++)
        close(queue[i]);
}

/* SIZE bytes, of which the first is `mark`, with n descriptors, from one fd to queue `to`. */
static ssize_t put_from(int from, int to, char mark, const int *fds, size_t n)
{
    char data[SIZE] = { mark }, control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
    struct iovec piece = { data, sizeof(data) };
    struct msghdr m = { .msg_name = &name[to], .msg_namelen = name_len[to], .msg_iov = &piece, .msg_iovlen = 1 };

    if (n > 0) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(n * sizeof(int));
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                               .cmsg_len = CMSG_LEN(n * sizeof(int)) };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n * sizeof(int));
    }
    return sendmsg(from, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t put(int to, char mark, int fd)
{
    return put_from(queue[0], to, mark, &fd, fd >= 0);
}

struct got {
    char mark;
    int fds[8], flags;
    size_t count;
    struct ucred sender;
};

/* With room for `room` descriptors beside the credentials. */
static ssize_t get(int from, struct got *got, size_t room)
{
    char data[SIZE], control[CMSG_SPACE(8 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    struct iovec piece = { data, sizeof(data) };
    struct msghdr m = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
                        .msg_controllen = CMSG_SPACE(room * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred)) };
    ssize_t n = recvmsg(queue[from], &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    *got = (struct got){ .mark = data[0], .flags = m.msg_flags, .sender = { .uid = (uid_t)-1 } };
    for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_type == SCM_RIGHTS) {
            got->count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(got->fds, CMSG_DATA(c), got->count * sizeof(int));
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&got->sender, CMSG_DATA(c), sizeof(got->sender));
        }
    return n;
}

static void strangers_are_refused(void)
{
    struct sockaddr_un mine;
    int stranger = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    need(stranger >= 0, "socket");
    for (int i = 0; i < QUEUES; i++) {
        errno = 0;
        check(put_from(stranger, i, 'x', NULL, 0) == -1 && errno == EPERM, "a stranger's datagram: EPERM");
        errno = 0;
        check(connect(stranger, (struct sockaddr *)&name[i], name_len[i]) == -1 && errno == EPERM,
              "a stranger's connect: EPERM");
    }
    need(bind(stranger, (struct sockaddr *)&mine, name_it(&mine, "stranger", 0)) == 0, "bind");
    check(put_from(stranger, 0, 'x', NULL, 0) == -1 && errno == EPERM, "with a name: EPERM");
    check(put_from(queue[1], 2, 'x', NULL, 0) == -1 && errno == EPERM, "from a queue that is not the first: EPERM");
    close(stranger);
}

/* Another queue's receiver would count its own backlog (net.unix.max_dgram_qlen), were it not connected to
 * the sender. */
static void sender_is_charged(void)
{
    struct got got;
    int room = 20000, sent = 0, taken = 0;

    need(setsockopt(queue[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0, "SO_SNDBUF");
    while (sent < 1000 && put(sent < MANY / 2 ? 1 : sent % QUEUES, 'x', -1) == SIZE)
        sent++;
    check(errno == EAGAIN && sent < 1000, "the first one's SO_SNDBUF bounds what lies in all: EAGAIN");
    check(sent > MANY / 2, "no backlog stands in the way");
    for (int i = 0; i < QUEUES; i++)
        check(put(i, 'x', -1) == -1 && errno == EAGAIN, "full for each of them");
    check(get(1, &got, 1) == SIZE && put(2, 'x', -1) == SIZE, "one out of one queue: one more into another");
    for (int i = 0; i < QUEUES; i++)
        while (get(i, &got, 1) == SIZE)
            taken++;
    check(taken == sent, "as many come out as went in");
}

static void credentials_come_along(void)
{
    struct got got;

    check(put(1, 'a', -1) == SIZE && get(1, &got, 1) == SIZE, "a datagram");
    check(got.sender.uid == getuid() && got.sender.pid == getpid(), "SO_PASSCRED: who sent it, unasked");
    check(put(0, 'b', queue[2]) == SIZE && get(0, &got, 1) == SIZE && got.count == 1, "into the first, too");
    check(fcntl(got.fds[0], F_GETFD) == FD_CLOEXEC, "MSG_CMSG_CLOEXEC");
    close(got.fds[0]);
}

static char peek(int from)
{
    char data[SIZE];

    return recv(queue[from], data, sizeof(data), MSG_PEEK | MSG_DONTWAIT) == SIZE ? data[0] : '-';
}

static void set_offset(int from, int offset)
{
    need(setsockopt(queue[from], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)) == 0, "SO_PEEK_OFF");
}

static void peeks_walk(void)
{
    struct got got;

    for (char mark = 'a'; mark <= 'c'; mark++)
        check(put(1, mark, queue[2]) == SIZE, "put");
    check(peek(1) == 'a' && peek(1) == 'a', "a peek looks at the first");
    set_offset(1, SIZE);
    check(peek(1) == 'b' && peek(1) == 'c' && peek(1) == '-', "with an offset, on from there to the end");
    set_offset(1, 0);
    check(peek(1) == 'a' && peek(1) == 'b', "an offset of 0: from the first");
    set_offset(1, -1);
    check(peek(1) == 'a', "-1: as if there had been none");
    for (char mark = 'a'; mark <= 'c'; mark++) {
        check(get(1, &got, 1) == SIZE && got.mark == mark && got.count == 1, "they are all there, with their descriptor");
        close(got.fds[0]);
    }
}

static void what_finds_no_room_is_closed(void)
{
    struct got got;
    int first[2], second[2];

    need(pipe(first) == 0 && pipe(second) == 0, "pipe");
    check(put_from(queue[0], 1, 'x', (int[]){ first[1], first[1], second[1] }, 3) == SIZE, "three descriptors");
    close(first[1]);
    close(second[1]);
    check(poll_for(second[0], POLLIN, 0) == 0, "in flight: open");
    check(get(1, &got, 2) == SIZE && got.count == 2 && (got.flags & MSG_CTRUNC), "room for two: two, and MSG_CTRUNC");
    check(poll_for(second[0], POLLIN, LATE_MS) & POLLHUP, "the third is closed");
    check(poll_for(first[0], POLLIN, 0) == 0, "those are open");
    close(got.fds[0]);
    close(got.fds[1]);
    close(first[0]);
    close(second[0]);
}

static void last_holder_ends_them(void)
{
    int ours, theirs, copies[QUEUES];
    char byte;

    tcp_pair(&ours, &theirs);
    for (int i = 0; i < QUEUES; i++)
        copies[i] = dup(queue[i]);
    check(put(1, 'x', ours) == SIZE, "a connection");
    close(ours);
    close_queues();
    check(poll_for(theirs, POLLIN, SOON_MS) == 0, "in flight, and somebody holds the queue: the connection lives");
    for (int i = 0; i < QUEUES; i++)
        close(copies[i]);
    check(poll_for(theirs, POLLIN, LATE_MS) == POLLIN && recv(theirs, &byte, 1, 0) == 0, "nobody does: its peer sees the end");
    close(theirs);
}

/* In a child: it stays that user. */
static void limit_of_the_user(void)
{
    struct rlimit all, few;
    int before;

    need(geteuid() != 0 || setresuid(USER, USER, USER) == 0, "another user");
    need(getrlimit(RLIMIT_NOFILE, &all) == 0 && all.rlim_cur > MANY, "RLIMIT_NOFILE");
    make_queues();
    for (before = 0; before < MANY; before++)
        check(put(1, 'x', queue[2]) == SIZE, "far below the limit");
    few = all;
    few.rlim_cur = LIMIT;
    need(setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
    check(put(1, 'x', queue[2]) == -1 && errno == ETOOMANYREFS, "a lower limit for the moment: ETOOMANYREFS");
    check(put(1, 'x', -1) == SIZE, "a datagram without a descriptor is not counted");
    need(setrlimit(RLIMIT_NOFILE, &all) == 0, "setrlimit");
    check(put(1, 'x', queue[2]) == SIZE, "the limit as it was: there is room");
    _exit(0);
}

int main(void)
{
    int status = 0;
    pid_t child;

    make_queues();
    strangers_are_refused();
    sender_is_charged();
    credentials_come_along();
    peeks_walk();
    what_finds_no_room_is_closed();
    last_holder_ends_them();
    child = fork();
    if (child == 0)
        limit_of_the_user();
    need(waitpid(child, &status, 0) == child, "wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
