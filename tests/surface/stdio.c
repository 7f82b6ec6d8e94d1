/* SPDX-License-Identifier: ISC */
/* stdio on a socket. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void pour(struct talk *t, FILE *f)
{
    char buf[3000];
    size_t n;

    while (!t->over) {
        errno = 0;
        size_t want = run.keep && t->in_body && (size_t)t->length - t->body < sizeof buf
                          ? (size_t)t->length - t->body
                      : run.keep ? 1
                                 : sizeof buf;
        if ((n = fread(buf, 1, want, f)) > 0)
            talk_feed(t, buf, n);
        else
            talk_ended(t, ferror(f) ? -1 : 0);
    }
    say("eof %d error %d", !run.keep && feof(f), ferror(f));
    t->state = STATE_ENDED;
}

static void put_request(struct talk *t, FILE *f)
{
    said("fprintf", fprintf(f, "%s", t->request + t->sent) == (int)(t->request_len - t->sent));
    said("fflush", fflush(f));
    t->sent = t->request_len;
    t->state = STATE_SENT;
}

static FILE *open_on(int fd, const char *mode)
{
    FILE *f = fdopen(fd, mode);

    said("fdopen", f ? 0 : -1);
    if (!f)
        _exit(91);
    return f;
}

static void shut(struct talk *t, FILE *f)
{
    talk_report(t);
    said("fclose", fclose(f));
    said("is", fcntl(t->fd, F_GETFD));
}

/* To the end with a stream, whatever is still to be done. */
static void with(struct talk *t, FILE *f)
{
    if (t->state < STATE_SENT)
        put_request(t, f);
    pour(t, f);
    shut(t, f);
}

void op_stream_before(struct talk *t)
{
    FILE *f = open_on(t->fd, "r+");

    talk_reach(t, STATE_CONNECTED);
    with(t, f);
}

void op_stream(struct talk *t)
{
    with(t, open_on(t->fd, t->state < STATE_SENT ? "r+" : "r"));
}

void op_stream_plus(struct talk *t)
{
    with(t, open_on(t->fd, "w+"));
}

/* One for each direction. */
void op_stream_two(struct talk *t)
{
    FILE *in = open_on(t->fd, "r");
    FILE *out = open_on(dup(t->fd), "w");

    put_request(t, out);
    pour(t, in);
    said("fclose", fclose(out));
    shut(t, in);
}

void op_stream_fileno(struct talk *t)
{
    FILE *f = open_on(t->fd, "r+");

    said("fileno", fileno(f) == t->fd);
    said("fileno_unlocked", fileno_unlocked(f) == t->fd);
    said("readable", __freadable(f) != 0);
    said("writable", __fwritable(f) != 0);
    said("flags", fcntl(fileno(f), F_GETFL));
    with(t, f);
}

void op_stream_unbuffered(struct talk *t)
{
    static char big[100000];
    FILE *f = open_on(t->fd, "r+");

    if (t->state == STATE_CONNECTED)
        said("setvbuf", setvbuf(f, NULL, _IONBF, 0));
    else if (t->state == STATE_SENT)
        said("setvbuf", setvbuf(f, NULL, _IOLBF, 0));
    else
        said("setvbuf", setvbuf(f, big, _IOFBF, sizeof big));
    with(t, f);
}

void op_stream_lines(struct talk *t)
{
    FILE *f = open_on(t->fd, "r");
    char line[1000];

    while (!t->in_body && fgets(line, sizeof line, f))
        talk_feed(t, line, strlen(line));
    int c = getc(f);
    said("ungetc", ungetc(c, f) == c);
    while ((c = getc(f)) != EOF) {
        char byte = (char)c;
        talk_feed(t, &byte, 1);
    }
    talk_ended(t, 0);
    said("feof", feof(f) != 0);
    clearerr(f);
    said("getc", getc(f));
    shut(t, f);
}

void op_stream_modes(struct talk *t)
{
    said("bad mode", fdopen(t->fd, "x") ? 0 : -1);
    said("empty mode", fdopen(t->fd, "") ? 0 : -1);
    said("bad number", fdopen(-1, "r") ? 0 : -1);
    said("closed", fdopen(500, "r") ? 0 : -1);
    FILE *f = open_on(dup(t->fd), "r");
    said("write", fputs("x", f) < 0 || fflush(f) < 0 ? -1 : 0);
    said("fclose", fclose(f));
    f = open_on(dup(t->fd), "w");
    said("read", getc(f));
    said("fclose", fclose(f));
    f = open_on(dup(t->fd), "re");
    said("flags", fcntl(fileno(f), F_GETFD));
    said("fclose", fclose(f));
    f = open_on(dup(t->fd), "a+");
    said("flags", fcntl(fileno(f), F_GETFL));
    said("fclose", fclose(f));
    talk_end(t);
}

void op_stream_seek(struct talk *t)
{
    FILE *f = open_on(t->fd, "r+");

    said("fseek", fseek(f, 10, SEEK_SET));
    said("ftell", ftell(f));
    said("fseeko", fseeko(f, 0, SEEK_END));
    rewind(f);
    clearerr(f);
    said("pending", (long)__fpending(f));
    with(t, f);
}

void op_stream_reopen(struct talk *t)
{
    FILE *f = open_on(t->fd, "r");

    f = freopen("/dev/zero", "r", f);
    said("freopen", f ? 0 : -1);
    if (f) {
        said("getc", getc(f));
        said("fileno", fileno(f) == t->fd);
        said("fclose", fclose(f));
    }
    said("is", fcntl(t->fd, F_GETFD));
}

void op_stream_fork(struct talk *t)
{
    FILE *f = open_on(t->fd, "r");
    pid_t pid = fork();

    if (pid == 0) {
        with(t, f);
        _exit(0);
    }
    say_child("child", pid);
    said("fclose", fclose(f));
}

/* More than anybody keeps count of. */
void op_stream_many(struct talk *unused)
{
    enum { MANY = 80 };
    static struct talk t[MANY];
    FILE *f[MANY];

    for (int i = 0; i < MANY; i++) {
        talk_init(&t[i]);
        talk_reach(&t[i], STATE_CONNECTED);
        f[i] = open_on(t[i].fd, "r+");
    }
    for (int i = 0; i < MANY; i++)
        put_request(&t[i], f[i]);
    for (int i = 0; i < MANY; i++) {
        said("fileno", fileno(f[i]) == t[i].fd);
        pour(&t[i], f[i]);
        shut(&t[i], f[i]);
    }
}

/* A buffer that leaves nothing behind; then by number, then by stream again. */
void op_stream_mixed(struct talk *t)
{
    FILE *f = open_on(t->fd, "r");
    char some[500];

    setvbuf(f, NULL, _IONBF, 0);
    size_t n = fread(some, 1, sizeof some, f);
    talk_feed(t, some, n);
    talk_body(t, 5000);
    pour(t, f);
    shut(t, f);
}

/* How much a stream reads ahead is seen by whoever goes on by number. */
void op_stream_ahead(struct talk *t)
{
    int there = 0;

    talk_reach(t, STATE_SENT);
    for (long until = now_ms() + 2000; there < 12000 && now_ms() < until; sleep_ms(1))
        ioctl(t->fd, FIONREAD, &there);
    FILE *f = open_on(t->fd, "r");
    char byte = (char)getc(f);
    talk_feed(t, &byte, 1);
    int left = 0;
    ioctl(t->fd, FIONREAD, &left);
    said("read ahead", there - left);
    pour(t, f);
    shut(t, f);
}

enum { TOGETHER = 2000 };

static void *open_often(void *arg)
{
    struct talk *t = arg;
    long wrong = 0;

    for (int i = 0; i < TOGETHER; i++) {
        int copy = dup(t->fd);
        FILE *f = fdopen(copy, "r+");
        wrong += !f || fileno(f) != copy;
        if (f)
            fclose(f);
    }
    return (void *)wrong;
}

void op_stream_together(struct talk *t)
{
    pthread_t threads[2];
    void *wrong;

    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, open_often, t);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &wrong);
        said("wrong", (long)wrong);
    }
    talk_end(t);
}

void op_stream_eof(struct talk *t)
{
    if (run.keep) {
        talk_end(t);
        return;
    }
    FILE *f = open_on(t->fd, "r+");
    said("getc", getc(f));
    say("eof %d error %d", feof(f), ferror(f));
    shut(t, f);
}

/* The stream is older than the socket under its number. */
void op_stdin_reads(struct talk *t)
{
    int kept = dup(0);

    said("dup2", dup2(t->fd, 0));
    if (t->state < STATE_SENT)
        talk_reach(t, STATE_SENT);
    setvbuf(stdin, NULL, _IONBF, 0);
    if (!run.keep || t->state != STATE_ENDED)
        pour(t, stdin);
    clearerr(stdin);
    said("dup2", dup2(kept, 0));
    close(kept);
    talk_report(t);
    said("close", close(t->fd));
}

void op_stdout_writes(struct talk *t)
{
    int kept = dup(1);

    dup2(t->fd, 1);
    printf("%s", t->request);
    fflush(stdout);
    dup2(kept, 1);
    close(kept);
    t->sent = t->request_len;
    t->state = STATE_SENT;
    talk_end(t);
}

/* And is closed where nobody sees it; the number then means something else. */
void op_stdin_closes(struct talk *t)
{
    char byte = 'x';

    said("dup2", dup2(t->fd, 0));
    said("close", close(t->fd));
    said("fclose", fclose(stdin));
    said("open", open("/dev/zero", O_RDWR));
    said("read", read(0, &byte, 1));
    said("zero", byte);
    said("write", write(0, "GET / HTTP/1.0\r\n\r\n", 18));
    said("close", close(0));
    int fd = talk_socket();
    said("socket", fd);
    said("connect", talk_connect(fd) == 0 || errno == EINPROGRESS ? 0 : -1);
    said("close", close(fd));
}

/* freopen does the same to it. */
void op_stdin_reopens(struct talk *t)
{
    char byte = 'x';

    said("dup2", dup2(t->fd, 0));
    said("close", close(t->fd));
    said("freopen", freopen("/dev/zero", "r", stdin) ? 0 : -1);
    said("fileno", fileno(stdin));
    said("read", read(0, &byte, 1));
    said("zero", byte);
}

void op_dprintf(struct talk *t)
{
    said("dprintf", dprintf(t->fd, "%s", t->request + t->sent) == (int)(t->request_len - t->sent));
    t->sent = t->request_len;
    t->state = STATE_SENT;
    talk_end(t);
    said("closed", dprintf(t->fd, "x"));
}

static int print(int fd, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int n = vdprintf(fd, format, ap);
    va_end(ap);
    return n;
}

void op_vdprintf(struct talk *t)
{
    size_t half = (t->request_len - t->sent) / 2;

    said("vdprintf", print(t->fd, "%.*s", (int)half, t->request + t->sent) == (int)half);
    t->sent += half;
    said("vdprintf", print(t->fd, "%s", t->request + t->sent) == (int)(t->request_len - t->sent));
    t->sent = t->request_len;
    t->state = STATE_SENT;
    talk_end(t);
}
