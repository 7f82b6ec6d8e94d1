/* Calls that move several messages, or bytes of a file: made out of the simple ones. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/wire/closing.h"
#include "preload/wire/readiness.h"
#include "preload/wire/recv.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum { SECOND_NS = 1000000000 };

int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, real_mmsg_flags flags)
{
    unsigned i = 0;

    if (likely(!conn_find(fd)))
        return real.sendmmsg(fd, msgs, n, flags);
    for (; i < n; i++) {
        ssize_t sent = sendmsg(fd, &msgs[i].msg_hdr, (int)flags);
        if (sent < 0)
            break;
        msgs[i].msg_len = (unsigned)sent;
    }
    return i || n == 0 ? (int)i : -1;
}

/* An error behind messages is told by the next call. */
static void tell_later(int fd, int error)
{
    struct conn *c = error != EAGAIN && error != EINTR && conn_find(fd) ? conn_enter_as_is(fd) : NULL;

    if (!c)
        return;
    recv_tell_later(c, error);
    conn_leave(c);
}

/* recvmmsg(2), BUGS: the timeout is looked at after a message only.  An end of file is a message without bytes, and does
 * not stop it (tests/assume_recvmmsg.c). */
int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, real_mmsg_flags flags,
             struct timespec *timeout)
{
    bool bad = timeout && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= SECOND_NS);
    int each = (int)flags & ~MSG_WAITFORONE;
    struct readiness_time t;
    unsigned i = 0;

    if (likely(!conn_find(fd)) || bad)
        return real.recvmmsg(fd, msgs, n, flags, timeout);
    readiness_begin(&t, timeout);
    while (i < n) {
        ssize_t got = recvmsg(fd, &msgs[i].msg_hdr, each);
        if (got < 0)
            break;
        msgs[i++].msg_len = (unsigned)got;
        if (flags & MSG_WAITFORONE)
            each |= MSG_DONTWAIT;
        if (!timeout)
            continue;
        *timeout = *readiness_left(&t);
        if (timeout->tv_sec == 0 && timeout->tv_nsec == 0)
            return (int)i;
    }
    if (i && i < n)
        tell_later(fd, errno);
    return i || n == 0 ? (int)i : -1;
}

/* True while an adapted exchange needs to see the bytes; else libc alone has the socket from now on. */
static bool must_follow(int fd)
{
    struct conn *c = conn_find(fd) ? conn_enter(fd) : NULL;

    if (!c)
        return false;
    closing_leave_alone(c, fd, REASON_odd_descriptor);
    bool follow = c->fds.count && (c->state == CONN_EXCHANGE || c->state == CONN_ENDED);
    conn_leave(c);
    return follow;
}

/* sendfile(2) may send less than asked for: one page at a time, through our own send. */
static ssize_t send_page(int out, int in, int64_t *offset, size_t count)
{
    char page[PIPE_BUF];
    size_t len = count < sizeof page ? count : sizeof page;
    ssize_t got = offset ? pread(in, page, len, (off_t)*offset) : real.read(in, page, len);

    if (got <= 0)
        return got;
    ssize_t sent = send(out, page, (size_t)got, 0);
    ssize_t moved = sent < 0 ? 0 : sent;
    if (offset)
        *offset += moved;
    else if (moved < got && lseek(in, moved - got, SEEK_CUR) < 0 && sent >= 0)
        return send(out, page + moved, (size_t)(got - moved), 0) < 0 ? moved : got;
    return sent;
}

/* Waits, if it may, until a pipe takes or has a page: then moving one cannot fall short (pipe(7)). */
static bool ready(int fd, short events, unsigned flags)
{
    struct pollfd wait = { .fd = fd, .events = events };

    return real.poll(&wait, 1, flags & SPLICE_F_NONBLOCK ? 0 : -1) > 0;
}

static ssize_t splice_page(int in, int out, size_t len, unsigned flags)
{
    char page[PIPE_BUF];

    if (len > sizeof page)
        len = sizeof page;
    if (!ready(out, POLLOUT, flags) || !ready(in, POLLIN, flags))
        return hook_result(-EAGAIN);
    ssize_t got = read(in, page, len);
    for (ssize_t moved = 0; moved < got;) {
        ssize_t n = write(out, page + moved, (size_t)(got - moved));
        if (n < 0 && (errno != EAGAIN || !ready(out, POLLOUT, 0)))
            return moved ? moved : n;
        moved += n > 0 ? n : 0;
    }
    return got;
}

/* Since the kernel moves pages with splice, `in` may be a socket, too. */
static bool moves_from_us(int in, const void *offset)
{
    return conn_find(in) && !offset && must_follow(in);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    if (moves_from_us(in, offset))
        return splice_page(in, out, count, 0);
    if (likely(!conn_find(out)) || !must_follow(out))
        return real.sendfile(out, in, offset, count);
    int64_t position = offset ? *offset : 0;
    ssize_t sent = send_page(out, in, offset ? &position : NULL, count);
    if (offset)
        *offset = (off_t)position;
    return sent;
}

ssize_t sendfile64(int out, int in, int64_t *offset, size_t count)
{
    if (moves_from_us(in, offset))
        return splice_page(in, out, count, 0);
    if (likely(!conn_find(out)) || !must_follow(out))
        return real.sendfile64(out, in, offset, count);
    return send_page(out, in, offset, count);
}

ssize_t splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t len, unsigned flags)
{
    bool ours = conn_find(in) || conn_find(out);

    if (likely(!ours) || in_offset || out_offset)
        return real.splice(in, in_offset, out, out_offset, len, flags);
    bool follow_in = must_follow(in), follow_out = must_follow(out);
    if (!follow_in && !follow_out)
        return real.splice(in, in_offset, out, out_offset, len, flags);
    return splice_page(in, out, len, flags);
}
