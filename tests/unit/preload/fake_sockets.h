/* SPDX-License-Identifier: ISC */
/* fake_sockets: the table of fake_kernel.h, and the calls that make, name and close what is in it. */
#ifndef UNIT_PRELOAD_FAKE_SOCKETS_H
#define UNIT_PRELOAD_FAKE_SOCKETS_H

#include "fake_real.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum { FAKE_FIRST = 100, FAKE_NUMBERS = 1200, FAKE_SOCKETS = 96, FAKE_BYTES = 1 << 18, FAKE_SETS = 16, FAKE_OPTIONS = 16 };

struct fake_socket {
    int refs;
    bool connected, connecting, listening, write_shut, read_shut, nonblocking;
    bool fin, reset;        /* of the peer, behind `in` */
    char *in, *out;
    size_t in_len, in_at, out_len;
    size_t room;            /* for what is sent, SIZE_MAX: any */
    size_t step;            /* a receive gives no more than so much at a time, 0: any */
    int unacknowledged;
    struct sockaddr_in peer;
    struct { int level, name; char value[64]; socklen_t len; } options[FAKE_OPTIONS];
    int option_count;
};

struct fake_registration {
    int epfd, fd;
    struct fake_socket *socket;
    struct epoll_event event;
};

static struct fake_kernel {
    struct fake_socket sockets[FAKE_SOCKETS]; /* in the order in which they were made; number 0 is none */
    int made;
    struct fake_socket *numbers[FAKE_NUMBERS];
    bool cloexec[FAKE_NUMBERS];
    struct fake_registration sets[FAKE_SETS];
    int set_count;
    int refuse;             /* the error of the next connect, 0: none */
    int listener, last_client, strangers; /* so many connect to it before `last_client` does */
    /* What is to fail: the call `nth` of this name from now on (1: the next), or of any name but close, NULL: none. */
    const char *fail_name;
    unsigned fail_nth;
    int fail_error;
    bool failed;
    unsigned calls;         /* so far */
    char log[4096];         /* "name fd;" each */
    size_t log_len;
} kernel;

/* ---- what a test says ---- */

static inline struct fake_socket *fake_under(int fd)
{
    return fd >= FAKE_FIRST && fd < FAKE_NUMBERS ? kernel.numbers[fd] : NULL;
}

static inline void fake_fail(const char *name, unsigned nth, int error)
{
    kernel.fail_name = name;
    kernel.fail_nth = nth;
    kernel.fail_error = error;
    kernel.failed = false;
}

#define FAKE_ANY "*"

static inline void fake_fail_nothing(void)
{
    kernel.fail_name = NULL;
}

/* What was called since, as "name fd;". */
static inline void fake_log_begin(void)
{
    kernel.log_len = 0;
    kernel.log[0] = '\0';
}

/* As big as what lies in it: a new quarter of a MiB for each of 100,000 sockets is most of what a test takes. */
static inline void fake_append(char **to, size_t *filled, const void *bytes, size_t len)
{
    assert_true(*filled + len <= FAKE_BYTES);
    if (!len)
        return;
    *to = realloc(*to, *filled + len);
    assert_non_null(*to);
    memcpy(*to + *filled, bytes, len);
    *filled += len;
}

static inline void fake_arrives(struct fake_socket *s, const char *bytes, size_t len)
{
    fake_append(&s->in, &s->in_len, bytes, len);
}

static inline int fake_numbers_used(void)
{
    int used = 0;

    for (int fd = FAKE_FIRST; fd < FAKE_NUMBERS; fd++)
        used += kernel.numbers[fd] != NULL;
    return used;
}

static inline int fake_registered(int epfd, int fd, uint32_t *events)
{
    for (int i = 0; i < kernel.set_count; i++)
        if (kernel.sets[i].epfd == epfd && kernel.sets[i].fd == fd && kernel.sets[i].socket == fake_under(fd)) {
            *events = kernel.sets[i].event.events;
            return 1;
        }
    return 0;
}

/* ---- the calls ---- */

/* True: the call is to fail, and errno says how. */
static bool fake_call(const char *name, int fd)
{
    kernel.calls++;
    int n = snprintf(kernel.log + kernel.log_len, sizeof kernel.log - kernel.log_len, "%s %d;", name, fd);
    if (n > 0 && kernel.log_len + (size_t)n < sizeof kernel.log)
        kernel.log_len += (size_t)n;
    if (!kernel.fail_name)
        return false;
    if (strcmp(kernel.fail_name, FAKE_ANY) != 0 ? strcmp(kernel.fail_name, name) != 0 : strcmp(name, "close") == 0)
        return false;
    if (--kernel.fail_nth != 0)
        return false;
    kernel.fail_name = NULL;
    kernel.failed = true;
    errno = kernel.fail_error;
    return true;
}

/* NULL: EBADF. */
static struct fake_socket *fake_of(int fd)
{
    struct fake_socket *s = fake_under(fd);

    if (!s)
        errno = EBADF;
    return s;
}

static int fake_install(struct fake_socket *s, int from, int most, bool cloexec)
{
    for (int fd = from < FAKE_FIRST ? FAKE_FIRST : from; fd < most; fd++)
        if (!kernel.numbers[fd]) {
            kernel.numbers[fd] = s;
            kernel.cloexec[fd] = cloexec;
            s->refs++;
            return fd;
        }
    errno = EMFILE;
    return -1;
}

static struct fake_socket *fake_make(void)
{
    assert_true(kernel.made + 1 < FAKE_SOCKETS);
    struct fake_socket *s = &kernel.sockets[++kernel.made];
    s->room = SIZE_MAX;
    return s;
}

static int fake_socket(int domain, int type, int protocol)
{
    (void)protocol;
    if (fake_call("socket", domain))
        return -1;
    struct fake_socket *s = fake_make();
    s->nonblocking = type & SOCK_NONBLOCK;
    return fake_install(s, FAKE_FIRST, 1024, type & SOCK_CLOEXEC);
}

static void fake_release(int fd)
{
    struct fake_socket *s = kernel.numbers[fd];

    kernel.numbers[fd] = NULL;
    if (--s->refs == 0) { /* its registrations leave with it (epoll(7)) */
        for (int i = kernel.set_count; i-- > 0;)
            if (kernel.sets[i].socket == s)
                kernel.sets[i] = kernel.sets[--kernel.set_count];
        free(s->in);
        s->in = NULL;
    }
}

static int fake_close(int fd)
{
    if (fd < FAKE_FIRST && fd >= 0)
        return (int)syscall(SYS_close, fd);
    fake_call("close", fd);
    if (!fake_of(fd))
        return -1;
    fake_release(fd);
    return 0;
}

static int fake_dup3(int fd, int onto, int flags)
{
    if (fake_call("dup3", onto) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    s->refs++;
    if (kernel.numbers[onto])
        fake_release(onto);
    kernel.numbers[onto] = s;
    kernel.cloexec[onto] = flags & O_CLOEXEC;
    return onto;
}

static int fake_fcntl(int fd, int command, ...)
{
    va_list ap;

    va_start(ap, command);
    int argument = (int)(intptr_t)va_arg(ap, void *);
    va_end(ap);
    if (fake_call("fcntl", fd) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    struct rlimit limit;
    switch (command) {
    case F_DUPFD_CLOEXEC:
        getrlimit(RLIMIT_NOFILE, &limit);
        return fake_install(s, argument, (int)(limit.rlim_cur < FAKE_NUMBERS ? limit.rlim_cur : FAKE_NUMBERS), true);
    case F_GETFL:
        return O_RDWR | (s->nonblocking ? O_NONBLOCK : 0);
    case F_SETFL:
        s->nonblocking = argument & O_NONBLOCK;
        return 0;
    case F_GETFD:
        return kernel.cloexec[fd] ? FD_CLOEXEC : 0;
    default:
        fail_msg("fcntl(%d, %d)", fd, command);
        return -1;
    }
}

static int fake_connect(int fd, const struct sockaddr *to, socklen_t len)
{
    if (fake_call("connect", fd) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    if (to->sa_family == AF_UNSPEC) {
        s->connected = s->connecting = false;
        return 0;
    }
    if (s->connected) {
        errno = EISCONN;
        return -1;
    }
    if (kernel.refuse) {
        errno = kernel.refuse;
        kernel.refuse = 0;
        return -1;
    }
    memcpy(&s->peer, to, len < sizeof s->peer ? len : sizeof s->peer);
    s->connected = true;
    kernel.last_client = fd;
    if (!s->nonblocking)
        return 0;
    errno = EINPROGRESS;
    return -1;
}

static int fake_shutdown(int fd, int how)
{
    if (fake_call("shutdown", fd) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    s->read_shut |= how != SHUT_WR;
    s->write_shut |= how != SHUT_RD;
    if (s->connected)
        return 0;
    errno = ENOTCONN;
    return -1;
}

static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    if (fake_call("setsockopt", fd) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    int i = 0;
    while (i < s->option_count && (s->options[i].level != level || s->options[i].name != name))
        i++;
    assert_true(i < FAKE_OPTIONS && len <= sizeof s->options[i].value);
    s->options[i].level = level;
    s->options[i].name = name;
    s->options[i].len = len;
    memcpy(s->options[i].value, value, len);
    if (i == s->option_count)
        s->option_count++;
    return 0;
}

/* What was set last, -1: nothing. */
static inline int fake_option(const struct fake_socket *s, int level, int name)
{
    for (int i = 0; i < s->option_count; i++)
        if (s->options[i].level == level && s->options[i].name == name) {
            int value;
            memcpy(&value, s->options[i].value, sizeof value);
            return value;
        }
    return -1;
}

static int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (fake_call("getsockopt", fd) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    uint64_t number = 0;
    if (level == SOL_SOCKET && name == SO_COOKIE)
        number = 0x5000 + (uint64_t)(s - kernel.sockets);
    else if (level == SOL_SOCKET && name == SO_NETNS_COOKIE)
        number = 1;
    else if (fake_option(s, level, name) > 0)
        number = (uint64_t)fake_option(s, level, name);
    memset(value, 0, *len);
    memcpy(value, &number, *len < sizeof number ? *len : sizeof number);
    return 0;
}

static int fake_name(const char *call, int fd, struct sockaddr *name, socklen_t *len, bool peer)
{
    if (fake_call(call, fd) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = (in_port_t)(s - kernel.sockets),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct sockaddr_in *given = peer ? &s->peer : &own;
    memcpy(name, given, *len < sizeof *given ? *len : sizeof *given);
    *len = sizeof *given;
    return 0;
}

static int fake_getsockname(int fd, struct sockaddr *name, socklen_t *len)
{
    return fake_name("getsockname", fd, name, len, false);
}

static int fake_getpeername(int fd, struct sockaddr *name, socklen_t *len)
{
    return fake_name("getpeername", fd, name, len, true);
}

static int fake_bind(int fd, const struct sockaddr *to, socklen_t len)
{
    (void)to;
    (void)len;
    return fake_call("bind", fd) || !fake_of(fd) ? -1 : 0;
}

static int fake_listen(int fd, int backlog)
{
    if (fake_call("listen", fd) || !fake_of(fd))
        return -1;
    assert_true(backlog > 1);
    kernel.listener = fd;
    return 0;
}

/* The name of who has connected: the last one that did, or another one's. */
static int fake_accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    if (fake_call("accept4", fd) || !fake_of(fd))
        return -1;
    assert_true(fd == kernel.listener && flags & SOCK_CLOEXEC);
    struct fake_socket *s = fake_make();
    s->connected = true;
    if (fake_getsockname(kernel.strangers-- > 0 ? fd : kernel.last_client, from, len) != 0)
        return -1;
    return fake_install(s, FAKE_FIRST, 1024, true);
}

#endif
