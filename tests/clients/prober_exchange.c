/* SPDX-License-Identifier: ISC */
/* One exchange, step by step. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prober.h"

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static socklen_t server_address(const struct exchange *x, union address *a)
{
    memset(a, 0, sizeof(*a));
    a->four.sin_port = htons((uint16_t)settings.port); /* the same place in both */
    a->any.sa_family = settings.family == 4 ? AF_INET : AF_INET6;
    if (settings.family == 4)
        a->four.sin_addr.s_addr = htonl(ntohl(inet_addr(settings.to)) + (uint32_t)(x->index % settings.spread));
    else
        a->six.sin6_addr = in6addr_loopback;
    return settings.family == 4 ? sizeof(a->four) : sizeof(a->six);
}

void exchange_fail(struct exchange *x, const char *what, int error)
{
    fprintf(x->out, "FAILED: %s%s%s\n", what, error != 0 ? ": " : "", error != 0 ? error_name(error) : "");
    x->failed = true;
    x->step = STEP_DONE;
}

static void make_socket(struct exchange *x)
{
    int on = 1, type = SOCK_STREAM | SOCK_CLOEXEC | (settings.blocking ? 0 : SOCK_NONBLOCK);

    x->fd = socket(settings.family == 4 ? AF_INET : AF_INET6, type, 0);
    if (x->fd < 0) {
        exchange_fail(x, "socket", errno);
        return;
    }
    if (settings.trick == TRICK_DUP_BEFORE) {
        int copy = dup(x->fd);

        close(x->fd);
        x->fd = copy;
    }
    if (settings.nodelay)
        setsockopt(x->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void start_connect(struct exchange *x)
{
    union address a;
    socklen_t size = server_address(x, &a);
    int error = connect(x->fd, &a.any, size) < 0 ? errno : 0;

    fprintf(x->out, "connect %s", error_name(error));
    if (error == 0)
        fputc('\n', x->out);
    if (error == 0)
        x->step = STEP_SEND;
    else if (error != EINPROGRESS)
        exchange_fail(x, "connect", error);
    if (settings.trick == TRICK_DUP && error == 0) {
        int copy = dup(x->fd);

        close(x->fd);
        x->fd = copy;
    }
}

void exchange_start(struct exchange *x, long index)
{
    memset(x, 0, offsetof(struct exchange, reply));
    memset((char *)x + offsetof(struct exchange, stream), 0, sizeof(*x) - offsetof(struct exchange, stream));
    reply_init(&x->reply);
    x->index = index;
    x->target = settings.targets[index % settings.target_count];
    x->out = open_memstream(&x->text, &x->text_size);
    if (x->out == NULL)
        abort();
    fprintf(x->out, "#%ld %s %s HTTP/1.%d ", index, settings.method, x->target, settings.minor);
    request_build(x);
    make_socket(x);
    if (x->step == STEP_DONE)
        return;
    if (settings.register_before)
        wait_add(x);
    start_connect(x);
    if (x->step != STEP_DONE)
        wait_add(x);
}

/* How programs ask whether a non-blocking connect went well. */
static bool connect_done(struct exchange *x)
{
    union address a;
    socklen_t length = sizeof(int), size = server_address(x, &a);
    int error = 0;

    if (!x->writable)
        return false;
    if (settings.ask == ASK_SO_ERROR || settings.ask == ASK_BOTH) {
        getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        fprintf(x->out, " so_error %s", error_name(error));
    }
    if (error == 0 && (settings.ask == ASK_CONNECT || settings.ask == ASK_BOTH)) {
        error = connect(x->fd, &a.any, size) < 0 ? errno : 0;
        fprintf(x->out, " connect %s", error_name(error));
    }
    fputc('\n', x->out);
    if (error != 0)
        exchange_fail(x, "connect", error);
    else
        x->step = STEP_SEND;
    return true;
}

static void all_sent(struct exchange *x)
{
    name_of(x->fd, false, x->name_after_send, sizeof(x->name_after_send));
    if (settings.half_close && shutdown(x->fd, SHUT_WR) < 0)
        fprintf(x->out, "shutdown %s\n", error_name(errno));
    x->step = STEP_RECEIVE;
}

static bool send_some(struct exchange *x)
{
    bool moved = false;

    while (x->step == STEP_SEND) {
        size_t n = x->request_len - x->sent;
        ssize_t sent;

        if (settings.send_piece > 0 && n > settings.send_piece)
            n = settings.send_piece;
        sent = io_send(x, x->request + x->sent, n);
        if (sent < 0 && errno == EAGAIN) {
            x->writable = false;
            return moved;
        }
        moved = true;
        if (sent < 0) {
            exchange_fail(x, "send", errno);
            break;
        }
        x->sent += (size_t)sent;
        if (x->sent == x->request_len)
            all_sent(x);
        else if (settings.send_delay_us > 0)
            usleep((useconds_t)settings.send_delay_us);
    }
    return moved;
}

/* One read.  True if the step is over or something came. */
static bool receive_once(struct exchange *x, char *buf, bool *drained)
{
    ssize_t got = io_read(x, buf, settings.read_size);

    *drained = got < 0 || (size_t)got < settings.read_size;
    if (got < 0 && errno == EAGAIN) {
        x->readable = x->ended = false;
        return false;
    }
    if (got > 0) {
        if (settings.dump)
            fwrite(buf, 1, (size_t)got, stdout);
        reply_take(&x->reply, buf, (size_t)got);
        if (settings.until == UNTIL_LENGTH && reply_complete(&x->reply)) {
            fprintf(x->out, "end length\n");
            x->step = STEP_DONE;
        }
        return true;
    }
    if (got < 0)
        exchange_fail(x, "read", errno);
    else
        fprintf(x->out, "end eof\n");
    if (got == 0 && !settings.no_after && settings.trick != TRICK_STDIO)
        after_print(x);
    x->step = STEP_DONE;
    return true;
}

static bool receive_some(struct exchange *x)
{
    char *buf = malloc(settings.read_size);
    bool moved = false, drained = false;

    if (buf == NULL)
        abort();
    while (x->step == STEP_RECEIVE && x->readable) {
        moved |= receive_once(x, buf, &drained);
        if (settings.drained == DRAINED_ONE || settings.blocking)
            x->readable = false;
        if (settings.drained == DRAINED_SHORT && drained && !x->ended)
            x->readable = false;
    }
    free(buf);
    return moved;
}

bool exchange_step(struct exchange *x)
{
    bool moved = false;

    if (x->step == STEP_CONNECT)
        moved |= connect_done(x);
    if (x->step == STEP_SEND)
        moved |= send_some(x);
    if (x->step == STEP_RECEIVE)
        moved |= receive_some(x);
    return moved;
}

static void receive_all(struct exchange *x)
{
    char *buf = malloc(settings.read_size);
    bool drained;

    if (buf == NULL)
        abort();
    while (x->step == STEP_RECEIVE)
        receive_once(x, buf, &drained);
    free(buf);
}

/* The child reads the answer; the parent only waits for it. */
static void receive_in_child(struct exchange *x)
{
    pid_t child;
    int status = 0;

    fflush(stdout);
    fflush(x->out);
    child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        receive_all(x);
        exchange_finish(x);
        fwrite(x->text, 1, x->text_size, stdout);
        fflush(stdout);
        _exit(x->failed);
    }
    waitpid(child, &status, 0);
    x->failed = status != 0;
    x->step = STEP_DONE;
    x->elsewhere = true;
}

void exchange_run(struct exchange *x)
{
    send_some(x);
    if (settings.trick == TRICK_FORK && x->step == STEP_RECEIVE)
        receive_in_child(x);
    else
        receive_all(x);
}

void exchange_finish(struct exchange *x)
{
    wait_remove(x);
    if (x->stream != NULL)
        fclose(x->stream);
    else if (x->fd >= 0 && close(x->fd) < 0)
        fprintf(x->out, "BROKEN: close: %s\n", error_name(errno));
    x->fd = -1;
    reply_print(&x->reply, x->out);
    if (!x->reply.head_done && !x->elsewhere)
        x->failed = true;
    fprintf(x->out, "@ %ld wakeups %ld empty %ld reads %ld sends %ld\n", x->index, x->wakeups, x->empty,
            x->reads, x->sends);
    fclose(x->out);
    free(x->request);
}
