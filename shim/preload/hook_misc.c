/* stdio on a socket, raw system calls, namespaces and the end of the process. */
#define _GNU_SOURCE
#include "preload/hook.h"

#include "preload/closing.h"
#include "preload/process.h"
#include "preload/spare.h"

#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

/* stdio inside libc passes no hook.  Before an exchange the socket is left to it; in the middle of one
 * the stream has to read through us. */
enum { STREAMS_MAX = 64 };

static struct {
    FILE *_Atomic stream;
    atomic_int fd;
} streams[STREAMS_MAX];
static atomic_int streams_used;

static ssize_t stream_read(void *cookie, char *buf, size_t len)
{
    return read((int)(intptr_t)cookie, buf, len);
}

static ssize_t stream_write(void *cookie, const char *buf, size_t len)
{
    ssize_t written = write((int)(intptr_t)cookie, buf, len);

    return written < 0 ? 0 : written; /* fopencookie(3): 0 is an error */
}

static int stream_close(void *cookie)
{
    int fd = (int)(intptr_t)cookie;

    for (int i = 0; i < STREAMS_MAX; i++)
        if (streams[i].fd == fd && streams[i].stream) {
            streams[i].stream = NULL;
            streams_used--;
        }
    return close(fd);
}

static FILE *stream_open(int fd, const char *mode)
{
    static const cookie_io_functions_t io = {
        .read = stream_read, .write = stream_write, .close = stream_close
    };
    int slot = 0;

    while (slot < STREAMS_MAX && streams[slot].stream)
        slot++;
    if (slot == STREAMS_MAX)
        return NULL;
    FILE *stream = fopencookie((void *)(intptr_t)fd, mode, io);
    if (stream) {
        streams[slot].fd = fd;
        streams[slot].stream = stream;
        streams_used++;
    }
    return stream;
}

FILE *fdopen(int fd, const char *mode)
{
    struct conn *c = conn_find(fd);
    bool through_us = false;

    if (c == &conn_private) {
        errno = EBADF;
        return NULL;
    }
    if (c && process_is_ours() && (c = conn_enter(fd))) {
        closing_leave_alone(c, fd, REASON_odd_descriptor);
        through_us = c->nfds && (c->state == CONN_EXCHANGE || c->state == CONN_ENDED);
        conn_leave(c);
    }
    FILE *stream = through_us ? stream_open(fd, mode) : NULL;
    return stream ? stream : real.fdopen(fd, mode);
}

static int stream_fd(FILE *stream)
{
    for (int i = 0; streams_used && i < STREAMS_MAX; i++)
        if (streams[i].stream == stream)
            return streams[i].fd;
    return -1;
}

int fileno(FILE *stream)
{
    int fd = stream_fd(stream);

    return fd >= 0 ? fd : real.fileno(stream);
}

int fileno_unlocked(FILE *stream)
{
    int fd = stream_fd(stream);

    return fd >= 0 ? fd : real.fileno_unlocked(stream);
}

/* libuv closes this way.  A ring would register and read sockets past every hook: without one, libuv
 * and its kind fall back to epoll. */
long syscall(long number, ...)
{
    va_list ap;
    long a[6];
    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);

    if (process_active && number == SYS_close)
        return close((int)a[0]);
#ifdef SYS_close_range
    if (process_active && number == SYS_close_range)
        return close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]);
#endif
#ifdef SYS_io_uring_setup
    if (process_active && number == SYS_io_uring_setup)
        return hook_result(-ENOSYS);
#endif
    return real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void moved(int result)
{
    if (result != 0 || !process_active || !process_is_ours())
        return;
    process_netns++; /* what was connected elsewhere is never lent here */
    spare_abandon();
}

int setns(int fd, int kind)
{
    int result = real.setns(fd, kind);

    moved(result);
    return result;
}

int unshare(int flags)
{
    int result = real.unshare(flags);

    moved(result);
    return result;
}

void _exit(int status)
{
    process_exit();
    for (;;)
        real._exit(status);
}

void _Exit(int status)
{
    process_exit();
    for (;;)
        real._Exit(status);
}
