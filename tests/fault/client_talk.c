/* SPDX-License-Identifier: ISC */
/* One exchange, step by step. */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/older_libc.h"

enum { WRONG_PORT = 1, COPY = 50 };

static void build_request(struct exchange *x, int turn)
{
    const struct how *how = x->how;
    char fields[256] = "";

    if (how->host || how->minor)
        snprintf(fields, sizeof fields, "Host: %s\r\n", how->host ? how->host : "127.0.0.1");
    if (how->minor && !how->keep)
        strcat(fields, "Connection: close\r\n");
    if (how->body_size)
        snprintf(fields + strlen(fields), 64, "Content-Length: %ld\r\n", how->body_size);
    free(x->request);
    x->request = calloc(1, 1024 + (size_t)how->body_size);
    x->request_len = (size_t)snprintf(
        x->request, 1024, "%s /%s/%ld?seed=%d&h=X-Id:%%20%d&id=%s.%d.%d%s HTTP/1.%d\r\n%s\r\n",
        how->method ? how->method : "GET", how->path ? how->path : "bytes", x->reply.expected, x->index,
        x->index * 10 + turn, run.id, x->index, turn, how->query ? how->query : "", how->minor, fields);
    if (how->not_http)
        x->request_len = (size_t)snprintf(x->request, 1024, "hello there, %s.%d\r\n\r\n", run.id, x->index);
    memset(x->request + x->request_len, 'b', (size_t)how->body_size);
    x->request_len += (size_t)how->body_size;
    x->sent = 0;
}

static void set_options(struct exchange *x, enum step step)
{
    int on = 1, size = 65536;

    if (CALL(x, step, setsockopt(x->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on)) < 0 ||
        CALL(x, step, setsockopt(x->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on)) < 0 ||
        (step == STEP_OPTION &&
         CALL(x, step, setsockopt(x->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size)) < 0))
        fail(x, "option");
}

static void await_connection(struct exchange *x)
{
    int error = 0;
    socklen_t len = sizeof error;

    enroll(x);
    if (x->failed)
        return;
    if (!wait_for(x, POLLOUT)) {
        fail(x, "wait");
        return;
    }
    if (CALL(x, STEP_ERROR, getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &error, &len)) < 0)
        fail(x, "error");
    errno = error;
    if (error && !x->failed)
        fail(x, "connect");
}

static void establish(struct exchange *x)
{
    struct sockaddr_in four = { .sin_family = AF_INET };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    bool v6 = x->how->family == 6;
    uint16_t port = htons((uint16_t)(x->how->wrong_port ? WRONG_PORT : run.port));
    int result;

    four.sin_port = six.sin6_port = port;
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    result = CALL(x, STEP_CONNECT, connect(x->fd, v6 ? (struct sockaddr *)&six : (struct sockaddr *)&four,
                                           v6 ? sizeof six : sizeof four));
    if (result < 0 && errno != EINPROGRESS && errno != EINTR)
        fail(x, "connect");
    else if (result < 0)
        await_connection(x);
}

static void open_socket(struct exchange *x)
{
    const struct how *how = x->how;
    int type = SOCK_STREAM | (how->wait ? SOCK_NONBLOCK : 0) | SOCK_CLOEXEC;

    if (how->between == BETWEEN_EXEC)
        type &= ~SOCK_CLOEXEC;
    x->fd = CALL(x, STEP_SOCKET, socket(how->family == 6 ? AF_INET6 : AF_INET, type, 0));
    if (x->fd < 0) {
        fail(x, "socket");
        return;
    }
    if (how->wait >= WAIT_LEVEL && (x->set = epoll_create1(EPOLL_CLOEXEC)) < 0)
        fail(x, "socket"); /* one step: room for both, or not */
    if (how->options && !x->failed)
        set_options(x, STEP_OPTION);
    if (how->registered_early && !x->failed)
        enroll(x);
}

/* Once an exchange: what has failed may have been a passing trouble. */
static bool tries_again(struct exchange *x)
{
    bool again = x->how->stubborn && !x->tried_again;

    x->tried_again = true;
    return again;
}

static void send_all(struct exchange *x)
{
    int tries = 0;

    while (x->sent < x->request_len && !x->failed) {
        size_t left = x->request_len - x->sent;
        ssize_t n = io_send(x, x->request + x->sent, x->how->piece && x->how->piece < left ? x->how->piece : left);

        if (n >= 0)
            x->sent += (size_t)n;
        else if ((errno == EAGAIN || errno == EINPROGRESS) && x->how->wait && ++tries < 1000) {
            x->ready &= EPOLLIN;
            enroll(x);
            if (!x->failed && !wait_for(x, POLLOUT))
                fail(x, "wait");
        } else if (errno != EINTR && !tries_again(x))
            fail(x, "send");
    }
}

static void ask_names(struct exchange *x, enum step step)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    int value = 0;

    if (CALL(x, step, getpeername(x->fd, (struct sockaddr *)&name, &len)) < 0) {
        fail(x, "ask");
        return;
    }
    len = sizeof name;
    if (CALL(x, step, getsockname(x->fd, (struct sockaddr *)&name, &len)) < 0) {
        fail(x, "ask");
        return;
    }
    len = sizeof value;
    if (CALL(x, step, getsockopt(x->fd, SOL_SOCKET, SO_TYPE, &value, &len)) < 0 || value != SOCK_STREAM)
        fail(x, "ask");
}

/* The child reads the response, and reports it. */
static void receive_in_child(struct exchange *x)
{
    pid_t child = CALL(x, STEP_BETWEEN, fork());

    if (child < 0) {
        fail(x, "between");
        return;
    }
    if (child == 0) {
        exchange_receive(x);
        exchange_finish(x);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    x->elsewhere = true;
}

/* Does not come back if it goes well. */
static void receive_in_program(struct exchange *x)
{
    char index[16], fd[16], start[32];
    char *argv[] = { run.argv[0], run.argv[1], run.argv[2], run.argv[3], index, fd, NULL };

    snprintf(index, sizeof index, "%d", x->index);
    snprintf(fd, sizeof fd, "%d", x->fd);
    snprintf(start, sizeof start, "%d", run.base + PLACE_EXEC);
    setenv("FAULT_START", start, 1);
    CALL(x, STEP_BETWEEN, execve("/proc/self/exe", argv, environ));
    fail(x, "between");
}

static void between(struct exchange *x)
{
    int result = 0;

    switch (x->how->between) {
    case BETWEEN_SHUTDOWN:
        result = CALL(x, STEP_BETWEEN, shutdown(x->fd, SHUT_WR));
        break;
    case BETWEEN_DUP:
        result = x->copy = CALL(x, STEP_BETWEEN, dup(x->fd));
        break;
    case BETWEEN_DUP2:
        result = x->copy = CALL(x, STEP_BETWEEN, dup2(x->fd, COPY));
        break;
    case BETWEEN_OPTION:
        set_options(x, STEP_BETWEEN);
        break;
    case BETWEEN_FCNTL:
        result = CALL(x, STEP_BETWEEN, fcntl(x->fd, F_SETFL, O_NONBLOCK));
        if (result >= 0)
            result = CALL(x, STEP_BETWEEN, fcntl(x->fd, F_SETFL, 0));
        break;
    case BETWEEN_FORK:
        receive_in_child(x);
        break;
    case BETWEEN_EXEC:
        receive_in_program(x);
        break;
    default:
        break;
    }
    if (result < 0 && !x->failed)
        fail(x, "between");
}

void exchange_begin(struct exchange *x, int index)
{
    memset(x, 0, sizeof *x);
    x->index = index;
    x->how = &run.script->how[index];
    x->fd = x->set = x->copy = -1;
    long size = x->how->size ? x->how->size : 300;
    reply_init(&x->reply, (uint64_t)index, size);
    build_request(x, 0);
    if (x->how->not_http)
        x->reply.expected = -1;
}

bool exchange_ask(struct exchange *x)
{
    open_socket(x);
    if (!x->failed && x->how->transmit != TRANSMIT_FASTOPEN)
        establish(x);
    if (x->how->no_send)
        return !x->failed;
    if (!x->failed)
        send_all(x);
    if (!x->failed && x->how->asks)
        ask_names(x, STEP_ASK);
    if (!x->failed && x->how->between)
        between(x);
    return !x->failed && !x->elsewhere;
}

static bool enough(const struct exchange *x)
{
    if (x->how->stop_after)
        return x->reply.got >= x->how->stop_after;
    return x->how->keep && reply_complete(&x->reply);
}

static void receive_one(struct exchange *x)
{
    size_t size = x->how->receive_size ? x->how->receive_size : 16384;
    char buf[16384];
    int tries = 0;

    while (!x->failed && !x->ended && !enough(x)) {
        if (x->how->wait && !wait_for(x, POLLIN)) {
            fail(x, x->timed_out ? "wait" : "register");
            return;
        }
        ssize_t n = io_receive(x, buf, size);

        if (n > 0)
            reply_take(&x->reply, buf, (size_t)n);
        else if (n == 0)
            x->ended = true;
        else if (errno == EAGAIN && (x->how->wait || x->how->receive == RECEIVE_DONTWAIT) && ++tries < 1000)
            x->ready &= EPOLLOUT;
        else if (errno != EINTR && !tries_again(x))
            fail(x, x->timed_out ? "wait" : "receive");
    }
}

static bool is_right(const struct exchange *x)
{
    return !x->failed && (x->how->no_send || x->elsewhere || x->how->stop_after || reply_complete(&x->reply));
}

/* One reply to a line. */
static void report(struct exchange *x, int turn)
{
    struct reply *r = &x->reply;

    if (x->elsewhere)
        return;
    say("%d.%d ", x->index, turn);
    if (x->timed_out)
        say("timeout");
    else if (x->failed)
        say("fail %s %s", x->failed, strerrorname_np(x->error));
    else
        say(is_right(x) ? "ok" : "short");
    say(" head %lx body %ld", r->in_body ? (unsigned long)r->head_hash : 0, r->got);
    if (pipe_signals)
        say(" SIGPIPE");
    if (r->broken)
        say(" BROKEN");
    pipe_signals = 0;
}

void exchange_receive(struct exchange *x)
{
    receive_one(x);
    for (int turn = 1; turn < x->how->requests && is_right(x); turn++) {
        report(x, turn - 1);
        say("\n");
        reply_init(&x->reply, (uint64_t)x->index, x->reply.expected);
        build_request(x, turn);
        send_all(x);
        receive_one(x);
    }
    if (is_right(x) && x->how->asks && !x->how->stop_after)
        ask_names(x, STEP_AFTER);
}

void exchange_finish(struct exchange *x)
{
    int last = x->how->requests > 1 ? x->how->requests - 1 : 0, result = 0;

    if (x->stream)
        result = CALL(x, STEP_CLOSE, fclose(x->stream));
    else if (x->fd >= 0)
        result = CALL(x, STEP_CLOSE, close(x->fd));
    x->close_error = result < 0 ? errno : 0;
    if (x->copy >= 0)
        CALL(x, STEP_CLOSE, close(x->copy));
    if (x->set >= 0)
        close(x->set);
    report(x, last);
    if (x->close_error && !x->elsewhere)
        say(" close %s", strerrorname_np(x->close_error));
    if (!x->elsewhere)
        say("\n");
    free(x->request);
}

void exchange_resume(int index, int fd)
{
    struct exchange x;

    exchange_begin(&x, index);
    x.fd = fd;
    exchange_receive(&x);
    exchange_finish(&x);
}
