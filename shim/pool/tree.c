#define _GNU_SOURCE
#include "pool/tree.h"

#include "pool/tree_message.h"

#include <errno.h>
#include <linux/capability.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

#define NAME "holdfast-1-" /* the number changes with struct tree_message */

enum { MEMINFO_WMEM = 2, MEMINFO_VARS = 9, USUAL_CHARGE = 1280 };

static socklen_t make_name(const struct tree *t, unsigned i, struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int len = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, NAME "%s-%u", t->token, i);

    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static int make_token(char token[TREE_TOKEN + 1])
{
    uint64_t number;

    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        return -EAGAIN;
    snprintf(token, TREE_TOKEN + 1, "%016llx", (unsigned long long)number);
    return 0;
}

static int make_queue(const struct tree *t, unsigned i)
{
    struct sockaddr_un name;
    socklen_t len = make_name(t, i, &name);
    int on = 1, number = t->first + (int)i;
    int fd = t->calls->socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    int result = 0;
    if (t->calls->setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        t->calls->bind(fd, (struct sockaddr *)&name, len) != 0 ||
        t->calls->dup3(fd, number, 0) != number)
        result = -errno;
    t->calls->close(fd);
    return result;
}

/* From the last to the first: connected to itself, that one accepts nobody else's connect. */
static int connect_queues(const struct tree *t)
{
    struct sockaddr_un name;
    socklen_t len = make_name(t, 0, &name);

    for (int i = TREE_QUEUES - 1; i >= 0; i--)
        if (t->calls->connect(t->first + i, (struct sockaddr *)&name, len) != 0)
            return -errno;
    return 0;
}

/* What one message is charged: its memory, which the kernel rounds up. */
static unsigned charge_of_one(const struct tree *t)
{
    struct tree_message m = { .magic = 0 };
    struct iovec piece = { &m, sizeof m };
    struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1 };
    uint32_t memory[MEMINFO_VARS] = { 0 };
    socklen_t len = sizeof memory;

    if (t->calls->sendmsg(t->first, &msg, MSG_DONTWAIT) < 0)
        return USUAL_CHARGE;
    int known = t->calls->getsockopt(t->first, SOL_SOCKET, SO_MEMINFO, memory, &len);
    t->calls->recv(t->first, &m, sizeof m, MSG_DONTWAIT);
    return known == 0 && memory[MEMINFO_WMEM] ? memory[MEMINFO_WMEM] : USUAL_CHARGE;
}

int tree_create(struct tree *t, const struct tree_calls *calls, int first, unsigned most, uint32_t uid)
{
    *t = (struct tree){ .calls = calls, .first = first, .uid = uid };
    int result = make_token(t->token);

    for (unsigned i = 0; i < TREE_QUEUES && result == 0; i++)
        result = make_queue(t, i);
    if (result == 0)
        result = connect_queues(t);
    if (result == 0) {
        int half = (int)(charge_of_one(t) * most / 2); /* the kernel doubles it (socket(7)) */
        if (calls->setsockopt(first, SOL_SOCKET, SO_SNDBUF, &half, sizeof half) != 0)
            result = -errno;
    }
    for (unsigned i = 0; i < TREE_QUEUES && result != 0; i++)
        if (tree_has(t, i))
            calls->close(first + (int)i);
    return result;
}

static const char *parse_number(const char *text, size_t digits, uint64_t *out)
{
    *out = 0;
    for (; digits; digits--, text++) {
        if (*text < '0' || *text > '9')
            return NULL;
        *out = *out * 10 + (uint64_t)(*text - '0');
    }
    return text;
}

int tree_parse(struct tree *t, const struct tree_calls *calls, const char *text)
{
    uint64_t first = 0, uid = 0;

    *t = (struct tree){ .calls = calls };
    if (strlen(text) != TREE_TEXT - 1 || !(text = parse_number(text, 5, &first)) || *text++ != '-')
        return -EINVAL;
    memcpy(t->token, text, TREE_TOKEN);
    if (strspn(t->token, "0123456789abcdef") != TREE_TOKEN || text[TREE_TOKEN] != '-' ||
        !parse_number(text + TREE_TOKEN + 1, 10, &uid) || uid > UINT32_MAX)
        return -EINVAL;
    t->first = (int)first;
    t->uid = (uint32_t)uid;
    return 0;
}

void tree_text(const struct tree *t, char out[TREE_TEXT])
{
    snprintf(out, TREE_TEXT, "%05d-%s-%010lu", t->first, t->token, (unsigned long)t->uid);
}

bool tree_is_privileged(void)
{
    const uint32_t either = 1u << CAP_SYS_RESOURCE | 1u << CAP_SYS_ADMIN;
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 } };

    return syscall(SYS_capget, &head, data) == 0 && data[0].effective & either;
}

bool tree_has(const struct tree *t, unsigned i)
{
    struct sockaddr_un wanted, name;
    socklen_t wanted_len = make_name(t, i, &wanted), len = sizeof name;

    return t->calls->getsockname(t->first + (int)i, (struct sockaddr *)&name, &len) == 0 &&
           len == wanted_len && memcmp(&name, &wanted, len) == 0;
}

bool tree_lives(const struct tree *t)
{
    struct sockaddr_un name;
    socklen_t len = make_name(t, 0, &name);
    int fd = t->calls->socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    bool refused = t->calls->connect(fd, (struct sockaddr *)&name, len) != 0 && errno == EPERM;
    t->calls->close(fd);
    return refused;
}

static unsigned queue_of(const struct endpoint *to)
{
    return endpoint_hash(to) % TREE_QUEUES;
}

/* One message, with what came beside it. */
struct parcel {
    struct tree_message message;
    struct endpoint to;
    struct idle idle; /* its fd is the caller's */
};

static int put(const struct tree *t, unsigned queue, const struct parcel *parcel)
{
    struct sockaddr_un name;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .room = { 0 } };
    struct iovec piece = { (void *)(uintptr_t)&parcel->message, sizeof parcel->message };
    struct msghdr msg = {
        .msg_name = &name,
        .msg_namelen = make_name(t, queue, &name),
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control.room,
        .msg_controllen = sizeof control.room,
    };

    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.head), &parcel->idle.fd, sizeof(int));
    return t->calls->sendmsg(t->first, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What came beside a message: all of its fds are ours now. */
struct beside {
    int fds[8]; /* we send one; what a stranger sends beyond these, the kernel closes */
    size_t count;
    bool ours;
};

static void read_control(struct msghdr *msg, struct beside *beside)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t len = c->cmsg_len - CMSG_LEN(0);
        struct ucred sender;

        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_RIGHTS) {
            beside->count = len / sizeof(int);
            memcpy(beside->fds, CMSG_DATA(c), beside->count * sizeof(int));
        } else if (c->cmsg_type == SCM_CREDENTIALS && len == sizeof sender) {
            memcpy(&sender, CMSG_DATA(c), sizeof sender);
            beside->ours = sender.uid == getuid();
        }
    }
}

/* The next message of a queue.  0; -EBADMSG: something else, which is gone; -EAGAIN: no more. */
static int get(const struct tree *t, unsigned queue, struct parcel *parcel, uint64_t now_ms)
{
    struct beside beside = { .count = 0 };
    char control[CMSG_SPACE(sizeof beside.fds) + CMSG_SPACE(sizeof(struct ucred))]
        __attribute__((aligned(__alignof__(struct cmsghdr))));
    struct iovec piece = { &parcel->message, sizeof parcel->message };
    struct msghdr msg = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    ssize_t len =
        t->calls->recvmsg(t->first + (int)queue, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (len < 0)
        return errno == EINTR ? -EBADMSG : -EAGAIN;
    read_control(&msg, &beside);
    bool whole = !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && beside.ours && beside.count == 1;
    if (whole && tree_message_read(&parcel->message, (size_t)len, now_ms, &parcel->to, &parcel->idle) == 0) {
        parcel->idle.fd = beside.fds[0];
        return 0;
    }
    for (size_t i = 0; i < beside.count; i++)
        t->calls->close(beside.fds[i]);
    return -EBADMSG;
}

/* The server is told of the end even if the child of some fork still has a copy. */
static void drop(const struct tree *t, const struct parcel *parcel)
{
    t->calls->shutdown(parcel->idle.fd, SHUT_RDWR);
    t->calls->close(parcel->idle.fd);
}

/* Another process may have read the clock later than we have. */
static bool is_expired(const struct idle *idle, uint64_t now_ms)
{
    return now_ms > idle->parked_ms && now_ms - idle->parked_ms >= idle->idle_ms;
}

static bool is_over(const struct tree *t, const struct parcel *parcel, uint64_t now_ms)
{
    char byte;

    if (is_expired(&parcel->idle, now_ms))
        return true;
    return t->calls->recv(parcel->idle.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void put_back(const struct tree *t, unsigned queue, const struct parcel *parcel)
{
    put(t, queue, parcel);
    t->calls->close(parcel->idle.fd);
}

/* Once round a queue.  Others may be at it, too, and hold what would tell us that we are round. */
struct round {
    uint64_t first_back; /* cookie of the first that was put back: met again, the round is over */
    unsigned looks;
};
enum { LOOKS_MOST = 96 };

static bool next(const struct tree *t, unsigned queue, struct round *round, struct parcel *parcel,
                 uint64_t now_ms)
{
    while (round->looks++ < LOOKS_MOST) {
        int result = get(t, queue, parcel, now_ms);

        if (result == -EAGAIN)
            return false;
        if (result != 0)
            continue;
        if (parcel->idle.cookie == round->first_back) {
            put_back(t, queue, parcel);
            return false;
        }
        return true;
    }
    return false;
}

static void pass_on(const struct tree *t, unsigned queue, struct round *round,
                    const struct parcel *parcel, uint64_t now_ms)
{
    if (is_over(t, parcel, now_ms)) {
        drop(t, parcel);
        return;
    }
    if (!round->first_back)
        round->first_back = parcel->idle.cookie;
    put_back(t, queue, parcel);
}

int tree_take(const struct tree *t, const struct endpoint *to, const struct wanted *wanted,
              struct idle *out, uint64_t now_ms)
{
    unsigned queue = queue_of(to);
    struct round round = { .looks = 0 };
    struct parcel parcel;

    if (!tree_has(t, queue))
        return -ENOENT;
    while (next(t, queue, &round, &parcel, now_ms)) {
        if (endpoint_equal(&parcel.to, to) && pool_mismatch(&parcel.idle, wanted) == REASON_none) {
            *out = parcel.idle;
            return 0;
        }
        pass_on(t, queue, &round, &parcel, now_ms);
    }
    return -ENOENT;
}

/* Lets the oldest go, of the endpoint's own queue first. */
static bool make_room(const struct tree *t, unsigned queue, uint64_t now_ms)
{
    struct parcel parcel;

    for (unsigned i = 0; i < TREE_QUEUES; i++) {
        unsigned from = (queue + i) % TREE_QUEUES;
        int result = tree_has(t, from) ? get(t, from, &parcel, now_ms) : -EAGAIN;
        if (result == 0)
            drop(t, &parcel);
        if (result != -EAGAIN)
            return true;
    }
    return false;
}

/* With the one that comes, no more than `limit` of an endpoint stay. */
static void keep_limit(const struct tree *t, unsigned queue, const struct endpoint *to, unsigned limit,
                       uint64_t now_ms)
{
    struct round round = { .looks = 0 };
    struct parcel parcel;
    unsigned seen = 0;

    while (next(t, queue, &round, &parcel, now_ms)) {
        if (endpoint_equal(&parcel.to, to) && ++seen >= limit)
            drop(t, &parcel);
        else
            pass_on(t, queue, &round, &parcel, now_ms);
    }
}

/* Nobody watches what lies there: who comes by lets go of what has expired at the queue's old end. */
static void sweep(const struct tree *t, unsigned queue, uint64_t now_ms)
{
    enum { MOST = 2 };
    struct tree_message message;
    struct endpoint to;
    struct idle idle;
    struct parcel parcel;

    for (int i = 0; i < MOST; i++) {
        ssize_t len = t->calls->recv(t->first + (int)queue, &message, sizeof message,
                                     MSG_PEEK | MSG_DONTWAIT);
        if (len < 0)
            return;
        if (tree_message_read(&message, (size_t)len, now_ms, &to, &idle) == 0 &&
            !is_expired(&idle, now_ms))
            return;
        if (get(t, queue, &parcel, now_ms) != 0)
            continue;
        if (is_over(t, &parcel, now_ms)) /* another may have been quicker: then it is the next one */
            drop(t, &parcel);
        else
            put_back(t, queue, &parcel);
    }
}

int tree_give(const struct tree *t, const struct endpoint *to, const struct idle *idle, unsigned limit,
              uint64_t now_ms)
{
    unsigned queue = queue_of(to);
    struct parcel parcel = { .to = *to, .idle = *idle };

    if (!tree_has(t, queue))
        return -ENOENT;
    parcel.idle.parked_ms = now_ms;
    tree_message_write(&parcel.message, to, &parcel.idle);
    sweep(t, queue, now_ms);
    if (limit < TREE_MOST)
        keep_limit(t, queue, to, limit, now_ms);
    int result = put(t, queue, &parcel);
    if ((result == -EAGAIN || result == -ETOOMANYREFS) && make_room(t, queue, now_ms))
        result = put(t, queue, &parcel);
    return result;
}
