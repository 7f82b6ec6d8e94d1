/* SPDX-License-Identifier: ISC */
/* send SLOT REQUEST FROM TO FLAGS VIA         bytes FROM to TO (of 1000) of a request
 * recv SLOT LENGTH FLAGS VIA                  what was got is printed as length and hash
 * Also streams: fdopen SLOT MODE, fput SLOT REQUEST FROM TO, fget SLOT LENGTH, fgets SLOT, fileno SLOT, fclose SLOT. */
#define _GNU_SOURCE
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST = 32768 };

static const struct {
    const char *name;
    int flag;
} names[] = {
    { "peek", MSG_PEEK },         { "dontwait", MSG_DONTWAIT }, { "waitall", MSG_WAITALL }, { "trunc", MSG_TRUNC },
    { "nosignal", MSG_NOSIGNAL }, { "more", MSG_MORE },         { "oob", MSG_OOB },         { "eor", MSG_EOR },
    { "confirm", MSG_CONFIRM },   { "errqueue", MSG_ERRQUEUE }, { "one", MSG_WAITFORONE },  { "zerocopy", MSG_ZEROCOPY },
    { "cloexec", MSG_CMSG_CLOEXEC },
};

#ifdef __GLIBC__ /* what programs call that are compiled with _FORTIFY_SOURCE */
extern ssize_t checked_read(int fd, void *bytes, size_t len, size_t room) __asm__("__read_chk");
extern ssize_t checked_recv(int fd, void *bytes, size_t len, size_t room, int flags) __asm__("__recv_chk");
extern ssize_t checked_recvfrom(int fd, void *bytes, size_t len, size_t room, int flags, struct sockaddr *from,
                                socklen_t *from_len) __asm__("__recvfrom_chk");
#else
#define checked_read(fd, bytes, len, room) read(fd, bytes, len)
#define checked_recv(fd, bytes, len, room, flags) recv(fd, bytes, len, flags)
#define checked_recvfrom(fd, bytes, len, room, flags, from, from_len) recvfrom(fd, bytes, len, flags, from, from_len)
#endif

int call_flags(const struct call *call, int i)
{
    char copy[64], *save = NULL;
    int flags = 0;

    snprintf(copy, sizeof copy, "%s", call_word(call, i));
    for (char *word = strtok_r(copy, "+", &save); word; word = strtok_r(NULL, "+", &save))
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (strcmp(names[k].name, word) == 0)
                flags |= names[k].flag;
    return flags;
}

/* Two pieces, the first a third. */
static int pieces(struct iovec iov[2], char *bytes, size_t len)
{
    size_t first = len / 3;

    iov[0] = (struct iovec){ bytes, first };
    iov[1] = (struct iovec){ bytes + first, len - first };
    return 2;
}

static ssize_t send_file(int fd, const char *bytes, size_t len, const char *via)
{
    int ends[2];

    if (strcmp(via, "splice") != 0) {
        int file = memfd_create("calls", MFD_CLOEXEC);
        if (write(file, bytes, len) != (ssize_t)len || lseek(file, 0, SEEK_SET) != 0)
            return -1;
        ssize_t n = strcmp(via, "sendfile") == 0 ? sendfile(fd, file, NULL, len) : sendfile64(fd, file, NULL, len);
        int saved = errno;
        close(file);
        errno = saved;
        return n;
    }
    if (pipe2(ends, O_CLOEXEC) != 0 || write(ends[1], bytes, len) != (ssize_t)len)
        return -1;
    ssize_t n = splice(ends[0], NULL, fd, NULL, len, 0);
    int saved = errno;
    close(ends[0]);
    close(ends[1]);
    errno = saved;
    return n;
}

/* At no position: as readv and writev. */
static ssize_t positioned(int fd, const struct iovec iov[2], bool in, bool wide)
{
#ifdef __GLIBC__
    if (wide)
        return in ? preadv64v2(fd, iov, 2, -1, 0) : pwritev64v2(fd, iov, 2, -1, 0);
    return in ? preadv2(fd, iov, 2, -1, 0) : pwritev2(fd, iov, 2, -1, 0);
#else
    return in ? readv(fd, iov, 2) : writev(fd, iov, 2);
#endif
}

static int __attribute__((format(printf, 2, 3))) print_list(int fd, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vdprintf(fd, format, ap);
    va_end(ap);
    return n;
}

static ssize_t send_by(int fd, const char *via, char *bytes, size_t len, int flags)
{
    struct iovec iov[2];
    struct mmsghdr many[2] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
                               { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)pieces(iov, bytes, len) };

    if (strcmp(via, "write") == 0)
        return write(fd, bytes, len);
    if (strcmp(via, "writev") == 0)
        return writev(fd, iov, 2);
    if (strcmp(via, "sendto") == 0)
        return sendto(fd, bytes, len, flags, NULL, 0);
    if (strcmp(via, "sendmsg") == 0)
        return sendmsg(fd, &msg, flags);
    if (strcmp(via, "sendmmsg") == 0)
        return sendmmsg(fd, many, 2, flags);
    if (strcmp(via, "pwritev2") == 0 || strcmp(via, "pwritev64v2") == 0)
        return positioned(fd, iov, false, via[7] == '6');
    if (strcmp(via, "vdprintf") == 0)
        return print_list(fd, "%.*s", (int)len, bytes);
    if (strcmp(via, "syscall") == 0)
        return syscall(SYS_write, fd, bytes, len);
    if (strcmp(via, "dprintf") == 0)
        return dprintf(fd, "%.*s", (int)len, bytes);
    if (strncmp(via, "sendfile", 8) == 0 || strcmp(via, "splice") == 0)
        return send_file(fd, bytes, len, via);
    return send(fd, bytes, len, flags);
}

static void do_send(const struct call *call)
{
    size_t len;
    char room[MOST];
    const char *bytes = talk_bytes((int)call_number(call, 2), call_number(call, 3), call_number(call, 4), &len);

    memcpy(room, bytes, len);
    say_result(send_by(*slot_of(call, 1), call_word(call, 6), room, len, call_flags(call, 5)));
}

static ssize_t receive_spliced(int fd, char *bytes, size_t len, unsigned flags)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    ssize_t n = splice(fd, NULL, ends[1], NULL, len, flags);
    int saved = errno;
    if (n > 0 && read(ends[0], bytes, (size_t)n) != n)
        n = -2;
    close(ends[0]);
    close(ends[1]);
    errno = saved;
    return n;
}

static ssize_t receive_by(int fd, const char *via, char *bytes, size_t len, int flags)
{
    struct iovec iov[2];
    struct mmsghdr many[2] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
                               { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)pieces(iov, bytes, len) };
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;

    if (strcmp(via, "read") == 0)
        return read(fd, bytes, len);
    if (strcmp(via, "readv") == 0)
        return readv(fd, iov, 2);
    if (strcmp(via, "preadv2") == 0 || strcmp(via, "preadv64v2") == 0)
        return positioned(fd, iov, true, via[6] == '6');
    if (strcmp(via, "syscall") == 0)
        return syscall(SYS_read, fd, bytes, len);
    if (strcmp(via, "read_chk") == 0)
        return checked_read(fd, bytes, len, len);
    if (strcmp(via, "recv_chk") == 0)
        return checked_recv(fd, bytes, len, len, flags);
    if (strcmp(via, "recvfrom_chk") == 0)
        return checked_recvfrom(fd, bytes, len, len, flags, NULL, NULL);
    if (strcmp(via, "recvfrom") == 0)
        return recvfrom(fd, bytes, len, flags, (struct sockaddr *)&from, &from_len);
    if (strcmp(via, "splice") == 0)
        return receive_spliced(fd, bytes, len, flags & MSG_DONTWAIT ? SPLICE_F_NONBLOCK : 0);
    if (strcmp(via, "recvmsg") == 0) {
        ssize_t n = recvmsg(fd, &msg, flags);
        if (n >= 0)
            say(" flags %x", (unsigned)msg.msg_flags);
        return n;
    }
    if (strcmp(via, "recvmmsg") == 0) {
        int n = recvmmsg(fd, many, 2, flags, NULL);
        if (n > 0)
            say(" lengths %u %u", many[0].msg_len, n > 1 ? many[1].msg_len : 0);
        if (n > 0) /* what lies behind them may have been used as room: README */
            memset(bytes + many[0].msg_len, '#', iov[0].iov_len - many[0].msg_len);
        if (n > 0)
            memset((char *)iov[1].iov_base + (n > 1 ? many[1].msg_len : 0), '#',
                   iov[1].iov_len - (n > 1 ? many[1].msg_len : 0));
        return n;
    }
    return recv(fd, bytes, len, flags);
}

static void do_recv(const struct call *call)
{
    char bytes[MOST];
    size_t len = (size_t)call_number(call, 2) % MOST;
    int flags = call_flags(call, 3);

    memset(bytes, '#', sizeof bytes);
    ssize_t n = receive_by(*slot_of(call, 1), call_word(call, 4), bytes, len, flags);
    say_result(n);
    if (n > 0 && !(flags & MSG_TRUNC)) /* what lies behind them may have been used as room: README */
        say_bytes(bytes, strcmp(call_word(call, 4), "recvmmsg") == 0 ? len : (size_t)n < len ? (size_t)n : len);
}

/* drain SLOT: to the end, without waiting for more than a moment. */
static void do_drain(const struct call *call)
{
    char bytes[MOST];
    size_t len = 0;
    ssize_t n = 0;
    int fd = *slot_of(call, 1);

    while (len < sizeof bytes && (n = recv(fd, bytes + len, sizeof bytes - len, MSG_DONTWAIT)) > 0)
        len += (size_t)n;
    say_result(n);
    say(" %zu", len);
    say_bytes(bytes, len);
}

static FILE *streams[SLOTS];

static FILE **stream_of(const struct call *call)
{
    return &streams[slot_of(call, 1) - slots];
}

static void do_fdopen(const struct call *call)
{
    *stream_of(call) = fdopen(*slot_of(call, 1), call_word(call, 2));
    say_result(*stream_of(call) ? 0 : -1);
}

static void do_fput(const struct call *call)
{
    size_t len;
    const char *bytes = talk_bytes((int)call_number(call, 2), call_number(call, 3), call_number(call, 4), &len);

    if (!*stream_of(call))
        return;
    say_result((long)fwrite(bytes, 1, len, *stream_of(call)));
    say_result(fflush(*stream_of(call)));
}

static void do_fget(const struct call *call)
{
    char bytes[MOST];
    size_t len = (size_t)call_number(call, 2) % MOST;

    if (!*stream_of(call))
        return;
    size_t n = fread(bytes, 1, len, *stream_of(call));
    say_result((long)n);
    say_bytes(bytes, n);
    say(" eof %d error %d", feof(*stream_of(call)) != 0, ferror(*stream_of(call)) != 0);
    clearerr(*stream_of(call));
}

static void do_fgets(const struct call *call)
{
    char line[256];

    if (!*stream_of(call))
        return;
    bool there = fgets(line, sizeof line, *stream_of(call));
    say(there ? " line" : " none");
    if (there)
        say_bytes(line, strlen(line));
    say(" eof %d error %d", feof(*stream_of(call)) != 0, ferror(*stream_of(call)) != 0);
    clearerr(*stream_of(call));
}

static void do_fileno(const struct call *call)
{
    if (*stream_of(call))
        say_result(fileno(*stream_of(call)));
#ifdef __GLIBC__
    if (*stream_of(call))
        say_result(fileno_unlocked(*stream_of(call)));
#endif
}

static void do_fclose(const struct call *call)
{
    if (!*stream_of(call))
        return;
    say_result(fclose(*stream_of(call)));
    *stream_of(call) = NULL;
    *slot_of(call, 1) = -1;
}

do_call io_find(const char *name)
{
    static const struct call_entry table[] = {
        { "send", do_send }, { "recv", do_recv }, { "drain", do_drain },   { "fdopen", do_fdopen },
        { "fput", do_fput }, { "fget", do_fget }, { "fclose", do_fclose }, { "fgets", do_fgets },
        { "fileno", do_fileno },
    };

    return call_find(table, sizeof table / sizeof table[0], name);
}
