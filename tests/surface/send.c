/* SPDX-License-Identifier: ISC */
/* Sending: vectors, files, pipes, fast open, and the ends of both directions. */
#define _GNU_SOURCE
#include "surface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

/* What of the request is still to be sent, as sent. */
static void sent_all(struct talk *t)
{
    t->sent = t->request_len;
    t->state = STATE_SENT;
}

static size_t left(const struct talk *t)
{
    return t->request_len - t->sent;
}

void op_sendmmsg(struct talk *t)
{
    struct iovec parts[3] = { { t->request, 7 },
                              { t->request + 7, 30 },
                              { t->request + 37, t->request_len - 37 } };
    struct mmsghdr m[3] = { { .msg_hdr = { .msg_iov = &parts[0], .msg_iovlen = 1 } },
                            { .msg_hdr = { .msg_iov = &parts[1], .msg_iovlen = 1 } },
                            { .msg_hdr = { .msg_iov = &parts[2], .msg_iovlen = 1 } } };

    said("sendmmsg", sendmmsg(t->fd, m, 3, 0));
    say("%d", m[0].msg_len == 7 && m[1].msg_len == 30 && m[2].msg_len == t->request_len - 37);
    sent_all(t);
    talk_end(t);
}

void op_sendmsg_more(struct talk *t)
{
    ssize_t sent = 10;
    int pieces = 0;

    for (; left(t) > 20 && sent == 10; pieces++) {
        sent = send(t->fd, t->request + t->sent, 10, MSG_MORE);
        t->sent += sent > 0 ? (size_t)sent : 0;
    }
    said("a piece", sent);
    said("pieces", pieces);
    said("the rest", send(t->fd, t->request + t->sent, left(t), MSG_NOSIGNAL) == (ssize_t)left(t));
    sent_all(t);
    talk_end(t);
}

void op_send_fault(struct talk *t)
{
    const void *volatile nowhere = (const void *)(uintptr_t)16;

    if (t->state < STATE_SENT) {
        said("send", send(t->fd, nowhere, 100, 0));
        said("write", write(t->fd, nowhere, 100));
        said("writev", writev(t->fd, nowhere, 3));
        said("sendmsg", sendmsg(t->fd, nowhere, 0));
    }
    said("flags", send(t->fd, "", 0, MSG_OOB | MSG_DONTWAIT));
    talk_end(t);
}

void op_send_zero(struct talk *t)
{
    said("send", send(t->fd, "", 0, MSG_NOSIGNAL));
    said("write", write(t->fd, "", 0));
    said("writev", writev(t->fd, NULL, 0));
    said("sendto", sendto(t->fd, "", 0, MSG_NOSIGNAL, NULL, 0));
    talk_end(t);
}

/* What becomes of a second one depends on how the server closed. */
void op_send_after_end(struct talk *t)
{
    char byte;

    said("send", send(t->fd, "GET", 3, 0));
    said("recv", recv(t->fd, &byte, 1, 0));
    said("close", close(t->fd));
}

static int file_of(const void *bytes, size_t n)
{
    int fd = memfd_create("surface", 0);

    if (write(fd, bytes, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)
        said("file", -1);
    return fd;
}

void op_sendfile(struct talk *t)
{
    int file = file_of(t->request, t->request_len);
    off_t at = (off_t)t->sent;
    ssize_t n = sendfile(t->fd, file, &at, left(t));

    said("sendfile", n == (ssize_t)left(t));
    said("offset", at == (off_t)t->request_len && lseek(file, 0, SEEK_CUR) == 0);
    sent_all(t);
    said("from the socket", sendfile(file, t->fd, NULL, 100));
    talk_end(t);
    close(file);
}

void op_sendfile64(struct talk *t)
{
    int file = file_of(t->request + t->sent, left(t));

    said("sendfile64", sendfile64(t->fd, file, NULL, 100000) == (ssize_t)left(t));
    said("offset", lseek(file, 0, SEEK_CUR) == (off_t)left(t));
    sent_all(t);
    talk_end(t);
    close(file);
}

/* A head by send, its body by sendfile. */
void op_sendfile_body(struct talk *t)
{
    static char body[50000];

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i % 251);
    int file = file_of(body, sizeof body);
    t->request_len =
        (size_t)snprintf(t->request, sizeof t->request,
                         "POST /bytes/5000?seed=%d HTTP/1.%d\r\nHost: 127.0.0.1:%d\r\nConnection: "
                         "%s\r\nContent-Length: %zu\r\n\r\n",
                         t->seed, run.keep, run.port, run.keep ? "keep-alive" : "close", sizeof body);
    talk_reach(t, STATE_SENT);
    off_t at = 0;
    while (at < (off_t)sizeof body && sendfile(t->fd, file, &at, 20000) > 0)
        ;
    said("sent", at);
    talk_end(t);
    close(file);
}

void op_splice_out(struct talk *t)
{
    int pipes[2];

    if (pipe(pipes) != 0 || write(pipes[1], t->request + t->sent, left(t)) != (ssize_t)left(t))
        said("pipe", -1);
    said("splice", splice(pipes[0], NULL, t->fd, NULL, left(t), SPLICE_F_MOVE) == (ssize_t)left(t));
    sent_all(t);
    talk_end(t);
    close(pipes[0]);
    close(pipes[1]);
}

/* The socket's O_NONBLOCK counts for its bytes, SPLICE_F_NONBLOCK for the pipe's slots. */
static void splice_early(struct talk *t, const char *what, int pipe_end, int socket_flags, unsigned flags)
{
    long begun = now_ms();

    fcntl(t->fd, F_SETFL, socket_flags);
    ssize_t n = splice(t->fd, NULL, pipe_end, NULL, 1, flags);
    int error = errno;
    long waited = now_ms() - begun;
    errno = error;
    said(what, n);
    said("waited", waited > 40);
    fcntl(t->fd, F_SETFL, run.nonblocking ? O_NONBLOCK : 0);
}

static void take_byte(struct talk *t, int pipe_end)
{
    char byte;

    if (read(pipe_end, &byte, 1) == 1)
        talk_feed(t, &byte, 1);
}

void op_splice_waits(struct talk *t)
{
    int pipes[2];
    static char page[4096];

    said("pipe", pipe(pipes));
    talk_reach(t, STATE_SENT);
    talk_body(t, 0); /* then nothing comes for 150 ms */
    splice_early(t, "O_NONBLOCK", pipes[1], O_NONBLOCK, SPLICE_F_MOVE);
    splice_early(t, "SPLICE_F_NONBLOCK", pipes[1], 0, SPLICE_F_NONBLOCK);
    take_byte(t, pipes[0]);
    talk_body(t, 100);
    splice_early(t, "in the body", pipes[1], 0, SPLICE_F_NONBLOCK);
    take_byte(t, pipes[0]);
    fcntl(pipes[1], F_SETFL, O_NONBLOCK);
    while (write(pipes[1], page, sizeof page) > 0)
        ;
    splice_early(t, "full", pipes[1], 0, SPLICE_F_NONBLOCK);
    close(pipes[0]);
    signal(SIGPIPE, SIG_IGN);
    splice_early(t, "without a reader", pipes[1], 0, 0);
    close(pipes[1]);
    talk_end(t);
}

static void nothing(int number)
{
    (void)number;
}

/* A signal without SA_RESTART ends the wait for bytes, one with it does not. */
void op_splice_signal(struct talk *t)
{
    struct sigaction action = { .sa_handler = nothing };
    struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
    int pipes[2];

    said("pipe", pipe(pipes));
    talk_body(t, 0);
    for (int restart = 0; restart < 2; restart++) {
        action.sa_flags = restart ? SA_RESTART : 0;
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &soon, NULL);
        splice_early(t, restart ? "SA_RESTART" : "none", pipes[1], 0, 0);
        take_byte(t, restart ? pipes[0] : -1);
    }
    close(pipes[0]);
    close(pipes[1]);
    talk_end(t);
}

/* More than a page in a call: what there is, or what the pipe takes. */
void op_splice_much(struct talk *t)
{
    static char buf[65536];
    int pipes[2], there = 0;
    ssize_t most = 0;

    said("pipe", pipe(pipes));
    said("room", fcntl(pipes[1], F_SETPIPE_SZ, 1 << 18) >= 1 << 18);
    if (t->state == STATE_SENT)
        talk_body(t, 0);
    for (long until = now_ms() + 2000; there < 18000 && now_ms() < until; sleep_ms(1))
        ioctl(t->fd, FIONREAD, &there);
    for (ssize_t n = 1; n > 0 && (!run.keep || (long)t->body < t->length);) {
        n = splice(t->fd, NULL, pipes[1], NULL, sizeof buf, SPLICE_F_MOVE);
        most = n > most ? n : most;
        if (n > 0)
            talk_feed(t, buf, (size_t)read(pipes[0], buf, (size_t)n));
        else
            talk_ended(t, n);
    }
    said("more than a page", most > 4096);
    talk_end(t);
    close(pipes[0]);
    close(pipes[1]);
}

/* sendfile takes a socket, too, where its target is a pipe. */
void op_sendfile_in(struct talk *t)
{
    int pipes[2], file = file_of("x", 1);
    static char buf[20000];

    said("pipe", pipe(pipes));
    if (t->state == STATE_SENT)
        talk_body(t, 0);
    said("into a file", sendfile(file, t->fd, NULL, sizeof buf));
    off_t at = 0;
    said("an offset", sendfile(pipes[1], t->fd, &at, sizeof buf));
    ssize_t n = sendfile(pipes[1], t->fd, NULL, 3000);
    said("sendfile", n);
    if (n > 0)
        talk_feed(t, buf, (size_t)read(pipes[0], buf, (size_t)n));
    talk_end(t);
    close(pipes[0]);
    close(pipes[1]);
    close(file);
}

void op_splice_in(struct talk *t)
{
    int pipes[2];
    char buf[10000];

    said("pipe", pipe(pipes));
    if (t->state == STATE_SENT)
        talk_body(t, 0);
    while (!t->over) {
        ssize_t n = splice(t->fd, NULL, pipes[1], NULL, sizeof buf, 0);
        if (n <= 0) {
            said("splice", n);
            talk_ended(t, n);
            break;
        }
        n = read(pipes[0], buf, sizeof buf);
        talk_feed(t, buf, (size_t)n);
    }
    if (t->state == STATE_ENDED && !run.keep)
        said("at the end", splice(t->fd, NULL, pipes[1], NULL, sizeof buf, 0));
    talk_end(t);
    close(pipes[0]);
    close(pipes[1]);
}

static void fast(struct talk *t, int flags)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)run.port) };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ssize_t n =
        sendto(t->fd, t->request, t->request_len, MSG_FASTOPEN | flags, (struct sockaddr *)&to, sizeof to);
    if (n < 0 && errno == EINPROGRESS && run.nonblocking)
        n = 0;
    if (n == (ssize_t)t->request_len)
        sent_all(t);
    else if (t->state == STATE_NEW && n == 0)
        t->state = STATE_CONNECTED;
    if (!run.nonblocking)
        said("sendto", n < 0 ? n : n == (ssize_t)t->request_len);
}

void op_fastopen(struct talk *t)
{
    fast(t, 0);
    talk_end(t);
    struct talk again;
    talk_init(&again);
    again.fd = talk_socket();
    fast(&again, MSG_NOSIGNAL);
    talk_end(&again);
}

void op_fastopen_connected(struct talk *t)
{
    fast(t, MSG_NOSIGNAL);
    talk_reach(t, STATE_ENDED);
    talk_report(t);
    said("close", close(t->fd));
}

void op_fastopen_connect(struct talk *t)
{
    int on = 1;

    said("set", setsockopt(t->fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on));
    talk_end(t);
}

static void shut(struct talk *t, int how)
{
    said("shutdown", shutdown(t->fd, how));
    said("send", send(t->fd, "x", how != SHUT_RD, MSG_NOSIGNAL));
}

void op_shut_wr(struct talk *t)
{
    if (t->state == STATE_ENDED) {
        said("shutdown", shutdown(t->fd, SHUT_WR));
        talk_end(t);
    } else if (t->state == STATE_CONNECTED) {
        char byte;
        shut(t, SHUT_WR);
        said("recv", recv(t->fd, &byte, 1, 0));
        said("close", close(t->fd));
    } else {
        shut(t, SHUT_WR);
        talk_end(t);
    }
}

void op_shut_rdwr(struct talk *t)
{
    char byte;

    shut(t, SHUT_RDWR);
    if (t->state != STATE_MIDDLE && t->state != STATE_SENT)
        said("recv", recv(t->fd, &byte, 1, 0));
    said("again", shutdown(t->fd, SHUT_RDWR) == 0 ? 0 : errno == ENOTCONN ? 0 : -1);
    said("close", close(t->fd));
}

void op_shut_rd(struct talk *t)
{
    said("shutdown", shutdown(t->fd, SHUT_RD));
    said("bad", shutdown(t->fd, 77));
    if (t->state == STATE_ENDED && !run.keep)
        talk_finish(t);
    said("close", close(t->fd));
}
