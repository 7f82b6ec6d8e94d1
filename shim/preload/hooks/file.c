/* SPDX-License-Identifier: ISC */
/* Calls that move several messages, or bytes of a file: made out of the simple ones. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "base/page.h"
#include "base/pieces.h"
#include "preload/wire/closing.h"
#include "preload/wire/moving.h"
#include "preload/wire/readiness.h"
#include "preload/wire/recv.h"
#include "preload/fds/table.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { SECOND_NS = 1000000000 };

/* To the kernel one socket is as the other: asked on one of our own, it takes no byte of the program's. */
bool hook_takes_flags(int flags)
{
    char byte;
    struct iovec piece = { &byte, 1 };
    int pair[2], saved = errno;

    if (real.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    bool takes = real.preadv2(pair[0], &piece, 1, -1, flags) < 0 && errno == EAGAIN;
    real.close(pair[0]);
    real.close(pair[1]);
    errno = saved;
    return takes;
}

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
    struct conn *c;

    if (error == EAGAIN || error == EINTR || hook_enter(fd, NEED_AS_IS, &c) != ENTERED)
        return;
    incoming_tell_later(c, error);
    conn_leave(c);
}

/* A message that waited, and has less than it waited for.  If nothing is there now, a signal has ended the wait, and has run its
 * handler here; the kernel still has it pending, and ends the next message by it (tests/assume/recvmmsg.c). */
static bool was_cut_short(const struct msghdr *msg, size_t got, int flags)
{
    size_t room = pieces_total(msg->msg_iov, (size_t)msg->msg_iovlen);

    return room == 0 || (flags & MSG_WAITALL && got < room);
}

/* recvmmsg(2), BUGS: the timeout is looked at after a message only.  An end of file is a message without bytes, and does
 * not stop it (tests/assume/recvmmsg.c). */
int recvmmsg(int fd, struct mmsghdr *msgs, unsigned n, real_mmsg_flags flags,
             struct timespec *timeout)
{
    bool bad = timeout && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= SECOND_NS);
    int each = (int)flags & ~MSG_WAITFORONE;
    struct readiness_time t;
    bool cut_short = false;
    unsigned i = 0;

    if (likely(!conn_find(fd)) || bad)
        return real.recvmmsg(fd, msgs, n, flags, timeout);
    readiness_begin(&t, timeout);
    while (i < n) {
        ssize_t got = recvmsg(fd, &msgs[i].msg_hdr, each | (cut_short ? MSG_DONTWAIT : 0));
        if (got < 0)
            break;
        cut_short = was_cut_short(&msgs[i].msg_hdr, (size_t)got, each);
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

/* CONN_PLAIN, or the answer with errno set. */
static ssize_t move_from(struct moving m)
{
    struct conn *c;
    int saved = errno;
    enum hook_entry entry = hook_enter(m.in, NEED_ALL, &c);

    if (entry != ENTERED)
        return entry == OURS ? hook_result(-EBADF) : CONN_PLAIN;
    closing_leave_alone(c, m.in, REASON_odd_descriptor);
    ssize_t moved = moving_from(c, m);
    conn_leave(c);
    errno = saved;
    return moved == CONN_PLAIN ? moved : hook_result(moved);
}

/* True while an adapted exchange needs to see the bytes; else libc alone has the socket from now on. */
static bool must_follow(int fd)
{
    struct conn *c;

    if (!conn_find(fd) || hook_enter(fd, NEED_ALL, &c) != ENTERED)
        return false;
    closing_leave_alone(c, fd, REASON_odd_descriptor);
    bool follow = c->fds.count && (conn_is_exchange(c) || conn_has_ended(c));
    conn_leave(c);
    return follow;
}

/* Of a file, through our own send. */
static ssize_t send_file(int out, int in, int64_t *position, size_t count)
{
    struct page page;
    size_t moved = 0;
    ssize_t sent = 0;

    page_take(&page);
    while (moved < count) {
        size_t len = count - moved < page.size ? count - moved : page.size;
        ssize_t got = pread(in, page.bytes, len, (off_t)*position);
        if (got <= 0) {
            sent = got;
            break;
        }
        sent = send(out, page.bytes, (size_t)got, 0);
        moved += sent > 0 ? (size_t)sent : 0;
        *position += sent > 0 ? sent : 0;
        if (sent < got)
            break;
    }
    page_return(&page);
    return moved ? (ssize_t)moved : sent;
}

/* sendfile(2): without an offset, it is the file's own, which a pipe has not. */
static ssize_t send_from(int out, int in, int64_t *offset, size_t count)
{
    int64_t position = offset ? *offset : lseek(in, 0, SEEK_CUR);

    if (position < 0)
        return hook_result(-EINVAL);
    ssize_t sent = send_file(out, in, &position, count);
    if (offset)
        *offset = position;
    else if (sent > 0 && lseek(in, (off_t)position, SEEK_SET) < 0)
        return -1;
    return sent;
}

/* What a copy of the pipe's content holds, through our own send: what the socket does not take stays in the pipe. */
static ssize_t send_copy(int copy, int out, size_t len, unsigned flags)
{
    struct page page;
    size_t moved = 0;
    ssize_t got, sent = 0;

    page_take(&page);
    while (moved < len && (got = real.read(copy, page.bytes, page.size)) > 0) {
        sent = send(out, page.bytes, (size_t)got, flags & SPLICE_F_MORE ? MSG_MORE : 0);
        moved += sent > 0 ? (size_t)sent : 0;
        if (sent < got)
            break;
    }
    page_return(&page);
    return moved ? (ssize_t)moved : sent;
}

static void discard(int pipe_end, size_t len)
{
    struct page page;
    ssize_t n = 1;

    page_take(&page);
    for (; len && n > 0; len -= n > 0 ? (size_t)n : 0)
        n = real.read(pipe_end, page.bytes, len < page.size ? len : page.size);
    page_return(&page);
}

/* No descriptor is left for a copy of the pipe's content: what is taken out of the pipe has to go, if it takes a wait. */
static ssize_t send_taken(struct moving m)
{
    struct page page;
    struct pollfd wait = { .fd = m.in, .events = POLLIN };
    size_t moved = 0;

    if (m.flags & SPLICE_F_NONBLOCK && real.poll(&wait, 1, 0) == 0)
        return hook_result(-EAGAIN);
    page_take(&page);
    ssize_t got = real.read(m.in, page.bytes, m.len < page.size ? m.len : page.size), sent = 0;
    for (; got > 0 && moved < (size_t)got && sent >= 0; moved += sent > 0 ? (size_t)sent : 0) {
        sent = send(m.out, page.bytes + moved, (size_t)got - moved, 0);
        if (sent < 0 && errno == EAGAIN) {
            wait = (struct pollfd){ .fd = m.out, .events = POLLOUT };
            sent = real.poll(&wait, 1, -1) >= 0 ? 0 : -1;
        }
    }
    page_return(&page);
    return moved ? (ssize_t)moved : got > 0 ? sent : got;
}

/* CONN_PLAIN, or the answer with errno set. */
static ssize_t move_onto(struct moving m)
{
    int ends[2];

    if (m.len == 0)
        return CONN_PLAIN;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return send_taken(m);
    ssize_t moved = tee(m.in, ends[1], m.len, m.flags);
    int saved = errno;
    if (moved > 0) {
        moved = send_copy(ends[0], m.out, (size_t)moved, m.flags);
        saved = errno;
        if (moved > 0)
            discard(m.in, (size_t)moved);
    }
    real.close(ends[0]);
    real.close(ends[1]);
    errno = saved;
    return moved;
}

/* The bytes of a socket of ours.  CONN_PLAIN: there are none; then *follow says that the socket `out` follows what is sent. */
static ssize_t begin_sendfile(int out, int in, const void *offset, size_t count, bool *follow)
{
    struct moving m = { .in = in, .out = out, .len = count, .sendfile = true };
    ssize_t moved = conn_find(in) && !offset ? move_from(m) : CONN_PLAIN;

    *follow = moved == CONN_PLAIN && conn_find(out) && must_follow(out);
    return moved;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    bool follow;
    ssize_t sent = begin_sendfile(out, in, offset, count, &follow);

    if (follow) {
        int64_t position = offset ? *offset : 0;
        sent = send_from(out, in, offset ? &position : NULL, count);
        if (offset)
            *offset = (off_t)position;
    }
    return sent == CONN_PLAIN ? real.sendfile(out, in, offset, count) : sent;
}

ssize_t sendfile64(int out, int in, int64_t *offset, size_t count)
{
    bool follow;
    ssize_t sent = begin_sendfile(out, in, offset, count, &follow);

    if (follow)
        return send_from(out, in, offset, count);
    return sent == CONN_PLAIN ? real.sendfile64(out, in, offset, count) : sent;
}

ssize_t splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t len, unsigned flags)
{
    struct moving m = { .in = in, .out = out, .len = len, .flags = flags };
    bool ours = conn_find(in) || conn_find(out);
    ssize_t moved = CONN_PLAIN;

    if (likely(!ours) || in_offset || out_offset)
        return real.splice(in, in_offset, out, out_offset, len, flags);
    if (conn_find(in))
        moved = move_from(m);
    else if (must_follow(out))
        moved = move_onto(m);
    return moved == CONN_PLAIN ? real.splice(in, in_offset, out, out_offset, len, flags) : moved;
}
