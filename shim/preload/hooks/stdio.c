/* SPDX-License-Identifier: ISC */
/* stdio on a socket.  Inside libc it passes no hook, so a stream on a tracked socket is made to read and
 * write through us (fopencookie(3)), and the number that it was made of is remembered, since libc says
 * that such a stream has none. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "base/block.h"
#include "preload/wire/closing.h"
#include "preload/wire/stream.h"
#include "preload/self/self.h"
#include "preload/fds/table.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_MAX = 65536 };

static ssize_t stream_read(void *cookie, char *buf, size_t len)
{
    return read(((struct stream *)cookie)->fd, buf, len);
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t sent = write(fd, bytes, len);
        if (sent < 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* fopencookie(3): 0 is an error.  musl asks for -1, and for all of it. */
static ssize_t stream_write(void *cookie, const char *buf, size_t len)
{
    int fd = ((struct stream *)cookie)->fd;
#ifdef __GLIBC__
    ssize_t written = write(fd, buf, len);

    return written < 0 ? 0 : written;
#else
    return write_all(fd, buf, len) ? (ssize_t)len : -1;
#endif
}

/* As cookie_seek_function_t has it; musl's off_t always has 64 bits. */
#ifdef __GLIBC__
typedef off64_t stream_position;
#else
typedef off_t stream_position;
#endif

/* As on any socket. */
static int stream_seek(void *cookie, stream_position *position, int whence)
{
    (void)cookie, (void)position, (void)whence;
    errno = ESPIPE;
    return -1;
}

static int stream_close(void *cookie)
{
    struct stream *slot = cookie;
    int fd = slot->fd;

    stream_give(slot);
    return close(fd);
}

static bool is_glibc(void)
{
    return dlsym(RTLD_DEFAULT, "gnu_get_libc_version") != NULL;
}

/* glibc's stream on a number reads ahead by the block size of its file, one on functions by BUFSIZ. */
static void set_buffer(struct stream *slot)
{
    struct stat status;

    if (!is_glibc() || fstat(slot->fd, &status) != 0 || status.st_blksize <= 0 || status.st_blksize > BUFFER_MAX ||
        status.st_blksize >= BUFSIZ)
        return;
    slot->buffer_len = (size_t)status.st_blksize;
    slot->buffer = block_get(slot->buffer_len, NULL);
    if (slot->buffer)
        setvbuf(slot->file, slot->buffer, _IOFBF, slot->buffer_len);
}

static FILE *stream_open(int fd, const char *mode)
{
    const cookie_io_functions_t io = {
        .read = stream_read, .write = stream_write, .seek = stream_seek, .close = stream_close
    };
    struct stream *slot = stream_take(fd);

    if (!slot)
        return NULL;
    FILE *stream = fopencookie(slot, mode, io);
    if (!stream) {
        stream_give(slot);
        return NULL;
    }
    atomic_store(&slot->file, stream);
    set_buffer(slot);
    return stream;
}

FILE *fdopen(int fd, const char *mode)
{
    struct conn *c;
    int saved = errno;

    if (hook_hides(fd)) {
        errno = EBADF;
        return NULL;
    }
    if (!conn_find(fd) || !self_is_ours())
        return real.fdopen(fd, mode);
    FILE *stream = stream_open(fd, mode);
    if (stream || errno == ENOMEM)
        return stream;
    if (hook_enter(fd, NEED_ALL, &c) == ENTERED) {
        closing_leave_alone(c, fd, REASON_odd_descriptor);
        closing_ask_end(c); /* libc would wait for it */
        conn_leave(c);
    }
    errno = saved;
    return real.fdopen(fd, mode);
}

void hook_stdio_take_stdin(void)
{
#ifdef __GLIBC__
    if (!is_glibc() || stream_fd(stdin) >= 0 || stdin->_IO_read_ptr != stdin->_IO_read_end)
        return; /* bytes that it has read before come first */
    FILE *stream = stream_open(0, "r");

    if (stream)
        stdin = stream;
#endif
}

/* libc cannot reopen a stream of ours: the file is put under its number instead, and the stream goes on
 * with that. */
static FILE *stream_reopen(const char *path, const char *mode, FILE *stream, int onto)
{
    int flags = *mode == 'r' ? 0 : O_CREAT | (*mode == 'a' ? O_APPEND : O_TRUNC);
    bool both = strchr(mode, '+');

    fflush(stream);
    __fpurge(stream);
    clearerr(stream);
    if (!path)
        return stream;
    int fd = open(path, flags | (both ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY), 0666);
    if (fd < 0 || dup2(fd, onto) < 0) {
        int saved = errno;
        fclose(stream);
        errno = saved;
        return NULL;
    }
    real.close(fd);
    return stream;
}

static FILE *any_freopen(FILE *(*libc)(const char *, const char *, FILE *), const char *path,
                         const char *mode, FILE *stream)
{
    int fd = stream_fd(stream);

    if (fd >= 0)
        return stream_reopen(path, mode, stream, fd);
    hook_number_goes(real.fileno(stream));
    return libc(path, mode, stream);
}

FILE *freopen(const char *path, const char *mode, FILE *stream)
{
    return any_freopen(real.freopen, path, mode, stream);
}

FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
    return any_freopen(real.freopen64, path, mode, stream);
}

/* A stream that was made of a number before the number was a tracked socket (dup2 onto 0): libc closes
 * it where we do not see it. */
int fclose(FILE *stream)
{
    int fd = stream_fd(stream) < 0 ? real.fileno(stream) : -1;

    if (conn_find(fd) && conn_find(fd) != CONN_PRIVATE && self_is_ours()) {
        fflush(stream);
        hook_number_goes(fd);
    }
    return real.fclose(stream);
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

/* dprintf on a tracked socket: formatted here, sent by our own write. */
__attribute__((format(printf, 2, 0))) static int print(int fd, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    bool fits = len >= 0 && len < (int)BLOCK_MAX && self_is_ours();
    char *text = fits ? block_get((size_t)len + 1, NULL) : NULL;

    if (!text)
        return real.vdprintf(fd, format, ap);
    vsnprintf(text, (size_t)len + 1, format, ap);
    int result = write_all(fd, text, (size_t)len) ? len : -1;
    block_put(text, (size_t)len + 1);
    return result;
}

int vdprintf(int fd, const char *format, va_list ap)
{
    return likely(!conn_find(fd)) ? real.vdprintf(fd, format, ap) : print(fd, format, ap);
}

int dprintf(int fd, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int result = vdprintf(fd, format, ap);
    va_end(ap);
    return result;
}

/* The fortified ones (glibc). */
__attribute__((format(printf, 3, 0))) int __vdprintf_chk(int fd, int flag, const char *format, va_list ap)
{
    return likely(!conn_find(fd)) ? real.__vdprintf_chk(fd, flag, format, ap)
                                  : print(fd, format, ap);
}

__attribute__((format(printf, 3, 4))) int __dprintf_chk(int fd, int flag, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int result = __vdprintf_chk(fd, flag, format, ap);
    va_end(ap);
    return result;
}
