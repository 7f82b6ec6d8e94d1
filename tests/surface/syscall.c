/* SPDX-License-Identifier: ISC */
/* syscall(2), and calls of the kernel that nothing in the process can see. */
#define _GNU_SOURCE
#include "surface.h"

#include <arpa/inet.h>
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/older_libc.h"

static struct sockaddr_in address(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)run.port) };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
}

static int kind(void)
{
    return SOCK_STREAM | (run.nonblocking ? SOCK_NONBLOCK : 0);
}

static int raw_socket(void)
{
    return (int)syscall(SYS_socket, AF_INET, kind(), 0);
}

static int raw_connect(int fd)
{
    struct sockaddr_in to = address();

    return (int)syscall(SYS_connect, fd, &to, sizeof to);
}

static ssize_t raw_send(int fd, const void *bytes, size_t n)
{
    return syscall(SYS_sendto, fd, bytes, n, MSG_NOSIGNAL, NULL, 0);
}

static ssize_t raw_recv(int fd, void *bytes, size_t n)
{
    return syscall(SYS_recvfrom, fd, bytes, n, 0, NULL, NULL);
}

static int raw_closes(int fd)
{
    return (int)syscall(SYS_close, fd);
}

static ssize_t raw_writes(int fd, const void *bytes, size_t n)
{
    return syscall(SYS_write, fd, bytes, n);
}

static ssize_t raw_reads(int fd, void *bytes, size_t n)
{
    return syscall(SYS_read, fd, bytes, n);
}

static const struct io io_raw = { raw_socket, raw_connect, raw_send, raw_recv, raw_closes };
static const struct io io_raw_files = { raw_socket, raw_connect, raw_writes, raw_reads, raw_closes };

static void one(const struct io *io)
{
    struct talk t;

    talk_init(&t);
    t.io = io;
    talk_end(&t);
}

void op_raw_syscalls(struct talk *unused)
{
    one(&io_raw);
    one(&io_raw_files);
    talk_whole(1);
    one(&io_raw);
}

void op_raw_close(struct talk *t)
{
    said("close", syscall(SYS_close, t->fd));
    said("again", syscall(SYS_close, t->fd));
}

static void move(struct talk *t, int to)
{
    said("moved", to < 0 ? -1 : 0);
    said("close", syscall(SYS_close, t->fd));
    t->fd = to;
    talk_end(t);
}

void op_raw_dup(struct talk *t)
{
    move(t, (int)syscall(SYS_dup, t->fd));
}

void op_raw_dup2(struct talk *t)
{
#ifdef SYS_dup2
    move(t, (int)syscall(SYS_dup2, t->fd, t->fd + 5));
#else
    move(t, (int)syscall(SYS_dup3, t->fd, t->fd + 5, 0));
#endif
}

void op_raw_dup3(struct talk *t)
{
    move(t, (int)syscall(SYS_dup3, t->fd, t->fd + 5, O_CLOEXEC));
}

void op_raw_close_range(struct talk *t)
{
    said("above", syscall(SYS_close_range, t->fd + 1, ~0u, 0));
    talk_finish(t);
    said("all", syscall(SYS_close_range, 3, ~0u, 0));
}

void op_raw_write(struct talk *t)
{
    t->io = &io_raw_files;
    talk_reach(t, STATE_SENT);
    t->io = &io_libc;
    talk_end(t);
}

void op_raw_read(struct talk *t)
{
    t->io = &io_raw_files;
    talk_end(t);
}

void op_raw_sendto(struct talk *t)
{
    t->io = &io_raw;
    talk_reach(t, STATE_SENT);
    t->io = &io_libc;
    talk_end(t);
}

void op_raw_recvfrom(struct talk *t)
{
    t->io = &io_raw;
    talk_end(t);
}

void op_raw_getsockopt(struct talk *t)
{
    int error = -1, type = -1;
    socklen_t len = sizeof error;

    said("getsockopt", syscall(SYS_getsockopt, t->fd, SOL_SOCKET, SO_ERROR, &error, &len));
    said("getsockopt", syscall(SYS_getsockopt, t->fd, SOL_SOCKET, SO_TYPE, &type, &len));
    say("%d %d %d", error, type, (int)len);
    len = 0;
    said("getpeername", syscall(SYS_getpeername, t->fd, &error, &len));
    int on = 1;
    said("setsockopt", syscall(SYS_setsockopt, t->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    said("fcntl", syscall(SYS_fcntl, t->fd, F_GETFL));
    said("ioctl", syscall(SYS_ioctl, t->fd, 0x541b /* FIONREAD */, &on));
    talk_end(t);
}

static ssize_t raw_sendmsg(int fd, const void *bytes, size_t n)
{
    struct iovec part = { (void *)(uintptr_t)bytes, n };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    return n % 2 ? syscall(SYS_sendmsg, fd, &m, 0) : syscall(SYS_writev, fd, &part, 1);
}

static ssize_t raw_recvmsg(int fd, void *bytes, size_t n)
{
    struct iovec part = { bytes, n < 1024 ? n : 1024 };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    return n % 2 ? syscall(SYS_recvmsg, fd, &m, 0) : syscall(SYS_readv, fd, &part, 1);
}

void op_raw_msg(struct talk *t)
{
    static const struct io io_msg = { raw_socket, raw_connect, raw_sendmsg, raw_recvmsg, raw_closes };

    t->io = &io_msg;
    talk_end(t);
}

static ssize_t raw_sendmmsg(int fd, const void *bytes, size_t n)
{
    struct iovec part = { (void *)(uintptr_t)bytes, n };
    struct mmsghdr m = { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } };

    return syscall(SYS_sendmmsg, fd, &m, 1, 0) == 1 ? (ssize_t)m.msg_len : -1;
}

static ssize_t raw_recvmmsg(int fd, void *bytes, size_t n)
{
    struct iovec part = { bytes, n };
    struct mmsghdr m = { .msg_hdr = { .msg_iov = &part, .msg_iovlen = 1 } };

    return syscall(SYS_recvmmsg, fd, &m, 1, 0, NULL) == 1 ? (ssize_t)m.msg_len : -1;
}

void op_raw_mmsg(struct talk *t)
{
    static const struct io io_mmsg = { raw_socket, raw_connect, raw_sendmmsg, raw_recvmmsg, raw_closes };

    t->io = &io_mmsg;
    talk_end(t);
}

/* Through a pipe, a page at a time. */
static ssize_t raw_splice(int fd, void *bytes, size_t n)
{
    int ends[2];

    if (pipe(ends) != 0)
        return -1;
    ssize_t moved = syscall(SYS_splice, fd, NULL, ends[1], NULL, n < 4096 ? n : 4096, 0);
    if (moved > 0)
        moved = read(ends[0], bytes, (size_t)moved);
    close(ends[0]);
    close(ends[1]);
    return moved;
}

void op_raw_splice(struct talk *t)
{
    static const struct io io_splice = { raw_socket, raw_connect, raw_send, raw_splice, raw_closes };

    t->io = &io_splice;
    talk_end(t);
}

/* Straight into the kernel. */
static long hidden(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long result __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(result)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
#else
    long result = syscall(number, a, b, c, d, e, f);
    return result;
#endif
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

static int hidden_socket(void)
{
    return (int)hidden(SYS_socket, AF_INET, kind(), 0, 0, 0, 0);
}

static int hidden_connect(int fd)
{
    struct sockaddr_in to = address();

    return (int)hidden(SYS_connect, fd, (long)&to, sizeof to, 0, 0, 0);
}

static ssize_t hidden_write(int fd, const void *bytes, size_t n)
{
    return hidden(SYS_write, fd, (long)bytes, (long)n, 0, 0, 0);
}

static ssize_t hidden_read(int fd, void *bytes, size_t n)
{
    return hidden(SYS_read, fd, (long)bytes, (long)n, 0, 0, 0);
}

static int hidden_close(int fd)
{
    return (int)hidden(SYS_close, fd, 0, 0, 0, 0, 0);
}

static const struct io io_hidden = { hidden_socket, hidden_connect, hidden_write, hidden_read, hidden_close };

/* What the program reads unseen after a request that was seen and adapted has no end for it: only
 * clients that keep their connection are asked to do this. */
void op_hidden_read(struct talk *t)
{
    t->io = &io_hidden;
    talk_end(t);
}

/* A request that was not seen, on whatever lies under the descriptor. */
void op_hidden_write(struct talk *t)
{
    t->io = &io_hidden;
    talk_reach(t, STATE_SENT);
    t->io = &io_libc;
    talk_end(t);
}

/* The number is free, and given to another socket, without a word. */
void op_hidden_close(struct talk *t)
{
    int fd = t->fd;

    said("close", hidden_close(fd));
    struct talk next;
    talk_init(&next);
    talk_reach(&next, STATE_MIDDLE);
    said("the same number", next.fd == fd);
    hidden_close(next.fd);
    talk_whole(1);
}

void op_hidden_all(struct talk *unused)
{
    one(&io_hidden);
    talk_whole(1);
    one(&io_hidden);
    talk_whole(1);
}

/* Not to be compared: with a ring there would be reads and polls that nobody sees. */
void op_uring(struct talk *unused)
{
#ifdef SYS_io_uring_setup
    char params[120] = { 0 };

    said("io_uring_setup", syscall(SYS_io_uring_setup, 4, params) >= 0 ? 0 : -1);
#endif
    talk_whole(1);
    run.no_after = true;
}

/* libc's threads read, until the end.  Not to be compared: nothing of the process is followed behind that. */
void op_aio_read(struct talk *t)
{
    static char buf[8192];

    talk_reach(t, t->state < STATE_SENT ? STATE_SENT : t->state);
    while (!t->over) {
        struct aiocb request = { .aio_fildes = t->fd, .aio_buf = buf, .aio_nbytes = sizeof buf };
        const struct aiocb *list[1] = { &request };
        if (aio_read(&request) != 0)
            break;
        while (aio_error(&request) == EINPROGRESS)
            aio_suspend(list, 1, NULL);
        errno = aio_error(&request);
        ssize_t n = aio_return(&request);
        if (n > 0)
            talk_feed(t, buf, (size_t)n);
        else if (errno != EAGAIN)
            talk_ended(t, n);
    }
    talk_report(t);
    run.no_after = true;
}
