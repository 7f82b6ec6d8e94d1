/* SPDX-License-Identifier: ISC */
/* fake_kernel: sockets that are only numbers.  The entries of `real` work on a table of them as the kernel's calls do,
 * as far as the library can tell; each call can be made to fail.
 *
 * Numbers below FAKE_FIRST are the process's real ones, and go to the kernel.  A peer is the test itself: it fills `in`
 * and reads `out`. */
#ifndef UNIT_PRELOAD_FAKE_KERNEL_H
#define UNIT_PRELOAD_FAKE_KERNEL_H

#include "fake_sockets.h"

static ssize_t fake_take(const char *call, int fd, void *buf, size_t len, int flags)
{
    if (fake_call(call, fd) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    size_t there = s->in_len - s->in_at;
    if (there == 0 && s->reset) {
        s->reset = false;
        s->fin = true;
        errno = ECONNRESET;
        return -1;
    }
    if (there == 0 && (s->fin || s->read_shut))
        return 0;
    if (there == 0 || len == 0) {
        errno = EAGAIN;
        return len ? -1 : 0;
    }
    size_t n = there < len ? there : len;
    if (s->step && n > s->step)
        n = s->step;
    if (buf)
        memcpy(buf, s->in + s->in_at, n);
    if (!(flags & MSG_PEEK))
        s->in_at += n;
    return (ssize_t)n;
}

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags)
{
    return fake_take("recv", fd, buf, len, flags);
}

static ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags)
{
    ssize_t sum = 0;

    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        if (i && msg->msg_iov[i].iov_len == 0)
            continue;
        ssize_t n = fake_take("recvmsg", fd, msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len, flags);
        if (n <= 0)
            return sum ? sum : n;
        sum += n;
        const struct fake_socket *s = kernel.numbers[fd];
        if ((size_t)n < msg->msg_iov[i].iov_len || s->in_at == s->in_len) /* an error behind bytes is the next call's */
            break;
    }
    return sum;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    (void)flags;
    if (fake_call("send", fd) || !fake_of(fd))
        return -1;
    struct fake_socket *s = kernel.numbers[fd];
    if (s->write_shut) {
        errno = EPIPE;
        return -1;
    }
    size_t sum = 0;
    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        size_t n = msg->msg_iov[i].iov_len < s->room ? msg->msg_iov[i].iov_len : s->room;
        fake_append(&s->out, &s->out_len, msg->msg_iov[i].iov_base, n);
        s->room -= s->room == SIZE_MAX ? 0 : n;
        sum += n;
    }
    if (sum == 0 && s->room == 0) {
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)sum;
}

static ssize_t fake_send(int fd, const void *buf, size_t len, int flags)
{
    struct iovec piece = { (void *)(uintptr_t)buf, len };
    struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1 };

    return fake_sendmsg(fd, &msg, flags);
}

static int fake_ioctl(int fd, real_ioctl_request request, ...)
{
    va_list ap;

    va_start(ap, request);
    int *answer = va_arg(ap, int *);
    va_end(ap);
    if (fake_call("ioctl", fd) || !fake_of(fd))
        return -1;
    if (request == FIONREAD)
        *answer = (int)(kernel.numbers[fd]->in_len - kernel.numbers[fd]->in_at);
    else if (request == TIOCOUTQ)
        *answer = kernel.numbers[fd]->unacknowledged;
    else
        fail_msg("ioctl(%d, %lu)", fd, (unsigned long)request);
    return 0;
}

static short fake_ready(int fd, short events)
{
    const struct fake_socket *s = fake_under(fd);
    short ready = 0;

    if (!s)
        return POLLNVAL;
    if (s->in_len > s->in_at || s->fin || s->read_shut || s->reset)
        ready |= POLLIN | POLLRDNORM;
    if (s->fin || s->read_shut)
        ready |= POLLRDHUP;
    if (s->room)
        ready |= POLLOUT | POLLWRNORM;
    return (short)((ready & events) | (s->reset ? POLLERR | POLLHUP : 0));
}

/* What does not come at once does not come: the time passes. */
static int fake_poll(struct pollfd *fds, nfds_t n, int ms)
{
    int ready = 0;

    if (fake_call("poll", n ? fds[0].fd : -1))
        return -1;
    for (nfds_t i = 0; i < n; i++)
        ready += (fds[i].revents = fds[i].fd < FAKE_FIRST ? 0 : fake_ready(fds[i].fd, fds[i].events)) != 0;
    if (!ready && ms > 0)
        fake_ms += (uint64_t)ms;
    assert_true(ready || ms >= 0);
    return ready;
}

static int fake_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)left;
    if (fake_call("nanosleep", -1))
        return -1;
    fake_ms += (uint64_t)time->tv_sec * 1000 + (uint64_t)(time->tv_nsec + 999999) / 1000000;
    return 0;
}

static int fake_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int i = 0;

    if (fake_call(op == EPOLL_CTL_ADD ? "epoll_add" : op == EPOLL_CTL_DEL ? "epoll_del" : "epoll_mod", fd) || !fake_of(fd))
        return -1;
    while (i < kernel.set_count && (kernel.sets[i].epfd != epfd || kernel.sets[i].fd != fd ||
                                    kernel.sets[i].socket != kernel.numbers[fd]))
        i++;
    if ((op == EPOLL_CTL_ADD) == (i < kernel.set_count)) {
        errno = op == EPOLL_CTL_ADD ? EEXIST : ENOENT;
        return -1;
    }
    if (op == EPOLL_CTL_DEL) {
        kernel.sets[i] = kernel.sets[--kernel.set_count];
        return 0;
    }
    assert_true(i < FAKE_SETS);
    kernel.sets[i] = (struct fake_registration){ epfd, fd, kernel.numbers[fd], *event };
    kernel.set_count += op == EPOLL_CTL_ADD;
    return 0;
}

/* A kernel without sockets; and `real` is its. */
static inline void fake_reset(void)
{
    for (int i = 1; i <= kernel.made; i++) {
        free(kernel.sockets[i].in);
        free(kernel.sockets[i].out);
    }
    memset(&kernel, 0, sizeof kernel);
    real = fake_nothing;
    real.socket = fake_socket;
    real.close = fake_close;
    real.dup3 = fake_dup3;
    real.fcntl = fake_fcntl;
    real.connect = fake_connect;
    real.bind = fake_bind;
    real.listen = fake_listen;
    real.accept4 = fake_accept4;
    real.shutdown = fake_shutdown;
    real.setsockopt = fake_setsockopt;
    real.getsockopt = fake_getsockopt;
    real.getsockname = fake_getsockname;
    real.getpeername = fake_getpeername;
    real.recv = fake_recv;
    real.recvmsg = fake_recvmsg;
    real.send = fake_send;
    real.sendmsg = fake_sendmsg;
    real.ioctl = fake_ioctl;
    real.poll = fake_poll;
    real.nanosleep = fake_nanosleep;
    real.epoll_ctl = fake_epoll_ctl;
}

#endif
