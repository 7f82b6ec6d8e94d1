/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "pool/tree.h"

#include "base/number.h"
#include "base/syscalls.h"
#include "pool/board.h"
#include "pool/tree_message.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

#define NAME "holdfast-2-" /* the number changes with struct tree_message */

enum { MEMINFO_WMEM = 2, MEMINFO_VARS = 9, USUAL_CHARGE = 1280 };

enum {
    HIGHEST = 1024, /* tables of fds stay small */
    ENOUGH = 256,   /* of so many numbers a program can spare some */
};

socklen_t tree_name(const struct tree *t, unsigned i, struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){ .sun_family = AF_UNIX };
    const size_t len = strlen(t->token);
    char *at = name->sun_path + sizeof NAME; /* behind the byte that says abstract, and the name without its end */

    memcpy(name->sun_path + 1, NAME, sizeof NAME - 1);
    memcpy(at, t->token, len);
    at[len] = '-';
    at += len + 1;
    return (socklen_t)(number_put(at, i) - (char *)name);
}

static int make_token(char token[TREE_TOKEN + 1])
{
    uint64_t number;

    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        return -EAGAIN;
    snprintf(token, TREE_TOKEN + 1, "%016llx", (unsigned long long)number);
    return 0;
}

/* Makes a queue's socket; 0, with *fd, or -errno. */
static int make_socket(const struct tree *t, int *fd)
{
    *fd = t->calls->socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return *fd < 0 ? -errno : 0;
}

static int connect_to_first(const struct tree *t, int fd)
{
    struct sockaddr_un name;
    socklen_t len = tree_name(t, 0, &name);

    return t->calls->connect(fd, (struct sockaddr *)&name, len) == 0 ? 0 : -errno;
}

/* SO_PASSCRED only here: to a socket that has it but no name, connect would give one (unix(7), autobind). */
static int name_queue(const struct tree *t, int fd, unsigned i)
{
    struct sockaddr_un name;
    socklen_t len = tree_name(t, i, &name);
    int on = 1;

    if (t->calls->setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        t->calls->bind(fd, (struct sockaddr *)&name, len) != 0)
        return -errno;
    return 0;
}

/* Moves fd, which may be -1, to the queue's number if `result` is 0.  Returns result, or -errno. */
static int place_queue(const struct tree *t, int fd, unsigned i, int result)
{
    if (result == 0 && t->calls->dup3(fd, t->first + (int)i, 0) < 0)
        result = -errno;
    if (fd >= 0)
        t->calls->close(fd);
    return result;
}

/* A queue refuses strangers once it is connected.  The first one must have its name before the others can connect
 * to it, and can connect to itself only when they all have: until then it drops whatever is sent to it. */
static int shut_out_everybody(const struct tree *t, int fd)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = { .len = 1, .filter = &drop };

    return t->calls->setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0 : -errno;
}

static int make_first(const struct tree *t)
{
    int fd, result = make_socket(t, &fd);

    if (result == 0)
        result = shut_out_everybody(t, fd);
    if (result == 0)
        result = name_queue(t, fd, 0);
    return place_queue(t, fd, 0, result);
}

/* Connected before it has a name: nobody but the first ever finds it open. */
static int make_other(const struct tree *t, unsigned i)
{
    int fd, result = make_socket(t, &fd);

    if (result == 0)
        result = connect_to_first(t, fd);
    if (result == 0)
        result = name_queue(t, fd, i);
    return place_queue(t, fd, i, result);
}

/* From here on the first accepts nobody else's connect either. */
static int close_first(const struct tree *t)
{
    int unused = 0, result = connect_to_first(t, t->first);

    if (result == 0 && t->calls->setsockopt(t->first, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) != 0)
        result = -errno;
    return result;
}

/* What lies in flight is charged to queue 0, in bytes of the kernel's memory. */
static unsigned charged(const struct tree *t)
{
    uint32_t memory[MEMINFO_VARS] = { 0 };
    socklen_t len = sizeof memory;

    if (t->calls->getsockopt(t->first, SOL_SOCKET, SO_MEMINFO, memory, &len) != 0)
        return 0;
    return memory[MEMINFO_WMEM];
}

static unsigned charge_of_one(const struct tree *t)
{
    struct tree_message m = { .magic = 0 };
    struct iovec piece = { &m, sizeof m };
    struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1 };

    if (t->calls->sendmsg(t->first, &msg, MSG_DONTWAIT) < 0)
        return USUAL_CHARGE;
    unsigned charge = charged(t);
    t->calls->recv(t->first, &m, sizeof m, MSG_DONTWAIT);
    return charge ? charge : USUAL_CHARGE;
}

unsigned tree_count(const struct tree *t)
{
    int room = 0;
    socklen_t len = sizeof room;

    if (t->calls->getsockopt(t->first, SOL_SOCKET, SO_SNDBUF, &room, &len) != 0 || room <= 0)
        return t->most;
    return (unsigned)((uint64_t)charged(t) * t->most / (unsigned)room);
}

static int make_queues(const struct tree *t)
{
    int result = make_first(t);

    for (unsigned i = 1; i < TREE_QUEUES && result == 0; i++)
        result = make_other(t, i);
    return result == 0 ? close_first(t) : result;
}

/* The kernel doubles SO_SNDBUF (socket(7)). */
static int bound_queues(const struct tree *t)
{
    int half = (int)(charge_of_one(t) * t->most / 2);

    return t->calls->setsockopt(t->first, SOL_SOCKET, SO_SNDBUF, &half, sizeof half) == 0 ? 0 : -errno;
}

int tree_create(struct tree *t, const struct tree_calls *calls, int first, unsigned most, uint32_t uid)
{
    enum { ATTEMPTS = 4 }; /* somebody who sees the first name may be quicker to bind another one */
    int result = -EADDRINUSE;

    *t = (struct tree){ .calls = calls, .first = first, .uid = uid, .most = most };
    for (int i = 0; i < ATTEMPTS && result == -EADDRINUSE; i++) {
        result = make_token(t->token);
        if (result == 0)
            result = make_queues(t);
        if (result == 0)
            result = bound_queues(t);
        if (result != 0)
            tree_destroy(t);
    }
    return result;
}

void tree_destroy(struct tree *t)
{
    if (tree_has_line(t))
        t->calls->close(t->first + TREE_LINE);
    if (tree_board(t))
        t->calls->close(t->first + TREE_BOARD);
    for (unsigned i = 0; i < TREE_QUEUES; i++)
        if (tree_has(t, i))
            t->calls->close(t->first + (int)i);
}

int tree_add_board(const struct tree *t, unsigned kind, uint64_t now_ms)
{
    int number = t->first + TREE_BOARD, result = 0;
    int fd = board_create((enum board_kind)kind, t->token, now_ms);

    if (fd < 0)
        return fd;
    if (t->calls->dup3(fd, number, 0) != number)
        result = -errno;
    t->calls->close(fd);
    return result;
}

unsigned tree_board(const struct tree *t)
{
    return board_check(t->first + TREE_BOARD, t->token);
}

/* With the socket's own cookie in it, no two lines have the same name. */
static socklen_t line_name(const struct tree *t, int fd, struct sockaddr_un *name)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;

    *name = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (t->calls->getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) != 0)
        return 0;
    int n = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, NAME "%s-line-%llx", t->token,
                     (unsigned long long)cookie);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static bool has_name(const struct tree *t, int fd, const struct sockaddr_un *wanted, socklen_t wanted_len)
{
    struct sockaddr_un name;
    socklen_t len = sizeof name;

    return t->calls->getsockname(fd, (struct sockaddr *)&name, &len) == 0 && len == wanted_len &&
           memcmp(&name, wanted, len) == 0;
}

bool tree_has_line(const struct tree *t)
{
    struct sockaddr_un name;
    socklen_t len = line_name(t, t->first + TREE_LINE, &name);

    return len && has_name(t, t->first + TREE_LINE, &name, len);
}

int tree_mark_line(const struct tree *t, int fd)
{
    struct sockaddr_un name;
    socklen_t len = line_name(t, fd, &name);

    return len && t->calls->bind(fd, (struct sockaddr *)&name, len) == 0 ? 0 : -errno;
}

static bool are_free(int first, bool (*is_free)(int fd))
{
    for (int i = 0; i < TREE_FDS; i++)
        if (!is_free(first + i))
            return false;
    return true;
}

int tree_numbers(const struct rlimit *limit, struct rlimit *higher, bool (*is_free)(int fd))
{
    int end = limit->rlim_cur > HIGHEST ? HIGHEST : (int)limit->rlim_cur;

    *higher = *limit;
    if (limit->rlim_cur <= HIGHEST && limit->rlim_max - TREE_FDS >= limit->rlim_cur) {
        higher->rlim_cur += TREE_FDS;
        if (are_free((int)limit->rlim_cur, is_free))
            return (int)limit->rlim_cur;
    }
    *higher = *limit;
    for (int first = end - TREE_FDS; end >= ENOUGH && first >= end / 2; first--)
        if (are_free(first, is_free))
            return first;
    return -1;
}

/* `digits` digits and a hyphen, or the end. */
static const char *parse_number(const char *text, size_t digits, uint64_t *out)
{
    *out = 0;
    for (; text && digits; digits--, text++) {
        if (*text < '0' || *text > '9')
            return NULL;
        *out = *out * 10 + (uint64_t)(*text - '0');
    }
    return !text || (*text && *text != '-') ? NULL : *text ? text + 1 : text;
}

int tree_parse(struct tree *t, const struct tree_calls *calls, const char *text)
{
    uint64_t first = 0, uid = 0, most = 0;

    *t = (struct tree){ .calls = calls };
    if (strlen(text) != TREE_TEXT - 1 || !(text = parse_number(text, 5, &first)))
        return -EINVAL;
    memcpy(t->token, text, TREE_TOKEN);
    if (strspn(t->token, "0123456789abcdef") != TREE_TOKEN || text[TREE_TOKEN] != '-')
        return -EINVAL;
    text = parse_number(text + TREE_TOKEN + 1, 10, &uid);
    text = parse_number(text, 3, &most);
    if (!text || *text || uid > UINT32_MAX || most == 0 || first + TREE_FDS > INT_MAX)
        return -EINVAL;
    t->first = (int)first;
    t->uid = (uint32_t)uid;
    t->most = (unsigned)most;
    return 0;
}

void tree_text(const struct tree *t, char out[TREE_TEXT])
{
    snprintf(out, TREE_TEXT, "%05d-%s-%010lu-%03u", t->first, t->token, (unsigned long)t->uid,
             t->most);
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
    struct sockaddr_un name;
    socklen_t len = tree_name(t, i, &name);

    return has_name(t, t->first + (int)i, &name, len);
}

bool tree_lives(const struct tree *t)
{
    struct sockaddr_un name;
    socklen_t len = tree_name(t, 0, &name);
    int fd = t->calls->socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    bool refused = t->calls->connect(fd, (struct sockaddr *)&name, len) != 0 && errno == EPERM;
    t->calls->close(fd);
    return refused;
}
