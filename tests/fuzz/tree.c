/* SPDX-License-Identifier: ISC */
/* What comes out of a queue that processes share: messages that were changed, or never were any, with
 * whatever descriptors beside them.  The kernel is played, so every descriptor is accounted for: it is
 * closed once, or it is the one that was taken, and that one is what was asked for. */
#define _GNU_SOURCE
#include "pool/tree.h"
#include "pool/tree_message.h"

#include "input.h"

#include <errno.h>
#include <sys/un.h>
#include <unistd.h>

enum { PARCELS = 64, FDS = 2048, FIRST_FD = 5000, FIRST = 100, BESIDE = 10, CALLS_MOST = 20000, NOW = 1000000 };

struct fake_message {
    char data[2 * sizeof(struct tree_message)];
    size_t len;
    int fds[BESIDE];
    size_t count;
    uid_t uid;
    bool credentials;
};

static struct fake_message queue[TREE_QUEUES][PARCELS];
static size_t first[TREE_QUEUES], queued[TREE_QUEUES];
static int offset[TREE_QUEUES]; /* in messages; -1: none */
static bool fd_open[FDS], fd_ends[FDS];
static int next_fd, calls_made;
static const uint8_t *input, *input_end;

static unsigned byte(void)
{
    return input < input_end ? *input++ : 0;
}

static int new_fd(void)
{
    assert_in_range(next_fd, 0, FDS - 1);
    fd_open[next_fd] = true;
    fd_ends[next_fd] = byte() % 8 == 0;
    return FIRST_FD + next_fd++;
}

static int fake_close(int fd)
{
    assert_in_range(fd, FIRST_FD, FIRST_FD + next_fd - 1);
    assert_true(fd_open[fd - FIRST_FD]);
    fd_open[fd - FIRST_FD] = false;
    return 0;
}

static int fake_shutdown(int fd, int how)
{
    (void)how;
    assert_true(fd_open[fd - FIRST_FD]);
    return 0;
}

static unsigned number_of(int fd)
{
    assert_in_range(fd, FIRST, FIRST + TREE_QUEUES - 1);
    assert_true(++calls_made < CALLS_MOST);
    return (unsigned)(fd - FIRST);
}

static struct fake_message *at(unsigned n, size_t i)
{
    return &queue[n][(first[n] + i) % PARCELS];
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    const struct sockaddr_un *name = msg->msg_name;
    unsigned n = (unsigned)atoi(strrchr(name->sun_path + 1, '-') + 1);
    struct fake_message *m;
    int original;

    (void)flags;
    assert_int_equal(number_of(fd), 0);
    if (queued[n] == PARCELS || next_fd > FDS - 64) {
        errno = queued[n] == PARCELS ? EAGAIN : ETOOMANYREFS;
        return -1;
    }
    memcpy(&original, CMSG_DATA(CMSG_FIRSTHDR(msg)), sizeof(original));
    m = at(n, queued[n]++);
    *m = (struct fake_message){ .len = msg->msg_iov->iov_len, .count = 1, .uid = getuid(), .credentials = true };
    memcpy(m->data, msg->msg_iov->iov_base, m->len);
    m->fds[0] = FIRST_FD + next_fd;
    fd_open[next_fd] = true;
    fd_ends[next_fd++] = fd_ends[original - FIRST_FD];
    return (ssize_t)m->len;
}

static void add_control(struct msghdr *msg, size_t *used, int type, const void *data, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)((char *)msg->msg_control + *used);

    if (*used + CMSG_LEN(len) > msg->msg_controllen) {
        msg->msg_flags |= MSG_CTRUNC;
        return;
    }
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
    *used += CMSG_SPACE(len);
}

/* As many as there is room for; the kernel closes the others. */
static void add_fds(struct msghdr *msg, size_t *used, const struct fake_message *m)
{
    size_t room = msg->msg_controllen - *used, fits = m->count;

    while (fits > 0 && CMSG_LEN(fits * sizeof(int)) > room)
        fits--;
    for (size_t i = fits; i < m->count; i++)
        fake_close(m->fds[i]);
    if (fits < m->count)
        msg->msg_flags |= MSG_CTRUNC;
    if (fits > 0)
        add_control(msg, used, SCM_RIGHTS, m->fds, fits * sizeof(int));
}

static ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags)
{
    unsigned n = number_of(fd);
    size_t here = !(flags & MSG_PEEK) || offset[n] < 0 ? 0 : (size_t)offset[n];
    struct fake_message *m = at(n, here);
    struct ucred sender = { .pid = 1, .uid = m->uid };
    size_t used = 0, len = m->len < msg->msg_iov->iov_len ? m->len : msg->msg_iov->iov_len;

    if (here >= queued[n]) {
        errno = EAGAIN;
        return -1;
    }
    if (flags & MSG_PEEK) {
        offset[n] += offset[n] >= 0;
    } else {
        first[n]++;
        queued[n]--;
    }
    memcpy(msg->msg_iov->iov_base, m->data, len);
    msg->msg_flags = len < m->len ? MSG_TRUNC : 0;
    if (m->credentials)
        add_control(msg, &used, SCM_CREDENTIALS, &sender, sizeof(sender));
    if (flags & MSG_PEEK)
        msg->msg_flags |= m->count ? MSG_CTRUNC : 0;
    else
        add_fds(msg, &used, m);
    msg->msg_controllen = used;
    return (ssize_t)len;
}

static ssize_t fake_recv(int fd, void *out, size_t size, int flags)
{
    unsigned n;
    size_t len, here;

    assert_true(flags & MSG_PEEK);
    if (fd >= FIRST_FD) {
        assert_true(fd_open[fd - FIRST_FD]);
        errno = EAGAIN;
        return fd_ends[fd - FIRST_FD] ? 0 : -1;
    }
    n = number_of(fd);
    here = offset[n] < 0 ? 0 : (size_t)offset[n];
    if (here >= queued[n]) {
        errno = EAGAIN;
        return -1;
    }
    len = at(n, here)->len < size ? at(n, here)->len : size;
    memcpy(out, at(n, here)->data, len);
    offset[n] += offset[n] >= 0;
    return (ssize_t)len;
}

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    int bytes;

    (void)level;
    if (name == SO_LINGER)
        return 0;
    memcpy(&bytes, value, len);
    offset[number_of(fd)] = bytes < 0 ? -1 : bytes / (int)sizeof(struct tree_message);
    return 0;
}

/* SO_MEMINFO, SO_SNDBUF: what lies in flight, and how much may, in bytes. */
static int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    uint32_t all = 0, room = 1000 * TREE_MOST;

    (void)level;
    number_of(fd);
    for (unsigned n = 0; n < TREE_QUEUES; n++)
        all += 1000 * (uint32_t)queued[n];
    memset(value, 0, *len);
    if (name == SO_SNDBUF)
        memcpy(value, &room, sizeof(room));
    else
        memcpy((char *)value + 2 * sizeof(all), &all, sizeof(all)); /* SK_MEMINFO_WMEM_ALLOC */
    return 0;
}

static struct tree tree;

static int fake_getsockname(int fd, struct sockaddr *name, socklen_t *len)
{
    struct sockaddr_un whole;

    *len = tree_name(&tree, number_of(fd), &whole);
    memcpy(name, &whole, sizeof(whole));
    return 0;
}

static const struct tree_calls calls = {
    .getsockname = fake_getsockname, .getsockopt = fake_getsockopt, .setsockopt = fake_setsockopt,
    .sendmsg = fake_sendmsg, .recvmsg = fake_recvmsg, .recv = fake_recv, .shutdown = fake_shutdown,
    .close = fake_close,
};

static struct endpoint endpoint_of(unsigned n)
{
    return (struct endpoint){ .family = AF_INET, .port = (uint16_t)(1 + n % 3), .address = { 127, 0, 0, 1 },
                              .uid = 7, .netns = 1 };
}

static struct idle idle_of(int fd)
{
    return (struct idle){ .fd = fd, .nonblocking = true, .proven = byte() & 1, .absolute = byte() & 1, .requests = 1, .max_left = -1,
                          .idle_ms = 1000 * (1 + byte()), .parked_ms = NOW - byte(), .opened_ms = 1,
                          .host = byte() % 2, .cookie = 1 + (uint64_t)next_fd };
}

/* A true message, of which some bytes are other; or shorter, or longer, or beside something else. */
static void put_something(void)
{
    struct endpoint to = endpoint_of(byte());
    unsigned n = endpoint_hash(&to) % TREE_QUEUES, how = byte();
    struct fake_message *m = at(n, queued[n]);
    struct idle idle = idle_of(-1);

    if (queued[n] == PARCELS)
        return;
    queued[n]++;
    *m = (struct fake_message){ .len = sizeof(struct tree_message), .uid = getuid(), .credentials = true, .count = 1 };
    tree_message_write((struct tree_message *)(void *)m->data, &to, &idle);
    for (unsigned i = how % 4; i > 0; i--) {
        size_t where = (byte() << 8 | byte()) % sizeof(struct tree_message);
        m->data[where] ^= (char)byte();
    }
    if (how & 4)
        m->len = (byte() << 8 | byte()) % sizeof(m->data);
    if (how & 8)
        m->count = byte() % BESIDE;
    if (how & 16)
        m->uid += byte();
    m->credentials = !(how & 32) || byte() % 2;
    for (size_t i = 0; i < m->count; i++)
        m->fds[i] = new_fd();
}

static void check_read(const uint8_t *data, size_t len)
{
    struct tree_message m, again;
    struct endpoint to;
    struct idle idle;
    char text[ENDPOINT_TEXT_MAX];

    if (tree_message_read(data, len, NOW, &to, &idle) != 0)
        return;
    assert_int_equal(len, sizeof(m));
    memcpy(&m, data, sizeof(m));
    memset(&again, 0, sizeof(again));
    tree_message_write(&again, &to, &idle);
    assert_memory_equal(&m, &again, sizeof(m)); /* nothing in it goes unseen */
    assert_in_range(endpoint_text(&to, text), 1, ENDPOINT_TEXT_MAX - 1);
    assert_true(idle.fd == -1 && idle.max_left != 0 && idle.idle_ms > 0);
}

static void take_one(void)
{
    struct endpoint to = endpoint_of(byte());
    struct wanted wanted = { .any = byte() & 1, .absolute = byte() & 1, .host = byte() % 2 };
    struct idle out = { .fd = -1 };

    if (tree_take(&tree, &to, &wanted, &out, NOW) != 0)
        return;
    assert_true(fd_open[out.fd - FIRST_FD]);
    assert_true(wanted.any || (out.host == wanted.host && out.absolute == wanted.absolute));
    fake_close(out.fd);
}

static void give_one(void)
{
    struct endpoint to = endpoint_of(byte());
    struct idle idle = idle_of(new_fd());

    tree_give(&tree, &to, &idle, 1 + byte() % 64, NOW);
    fake_close(idle.fd);
}

static size_t left_in_queues(void)
{
    size_t count = 0;

    for (unsigned n = 0; n < TREE_QUEUES; n++)
        for (size_t i = 0; i < queued[n]; i++)
            count += at(n, i)->count;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char text[TREE_TEXT];
    size_t open = 0;

    check_read(data, len);
    memset(queued, 0, sizeof(queued));
    memset(first, 0, sizeof(first));
    memset(offset, -1, sizeof(offset));
    memset(fd_open, 0, sizeof(fd_open));
    next_fd = calls_made = 0;
    tree_text(&(struct tree){ .first = FIRST, .token = "0123456789abcdef", .uid = 7, .most = TREE_MOST }, text);
    assert_int_equal(tree_parse(&tree, &calls, text), 0);
    input = data;
    input_end = data + len;
    while (input < input_end && next_fd < FDS / 4) {
        unsigned what = byte() % 4;

        if (what == 0)
            take_one();
        else if (what == 1)
            give_one();
        else
            put_something();
    }
    take_one();
    for (int i = 0; i < next_fd; i++)
        open += fd_open[i];
    assert_int_equal(open, left_in_queues());
    return 0;
}
