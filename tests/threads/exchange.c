/* SPDX-License-Identifier: ISC */
/* One exchange: its own socket, and with it its own ways to wait. */
#define _GNU_SOURCE
#include "threads.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATTERN = 1048573, PATIENCE_MS = 20000 };

static char pattern[PATTERN];

void pattern_init(void)
{
    uint64_t x = 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < PATTERN; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pattern[i] = (char)(x >> 32);
    }
}

char pattern_byte(unsigned seed, long at)
{
    return pattern[((uint64_t)seed * 7919 + (uint64_t)at) % PATTERN];
}

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[] = { "good",     "wrong_bytes", "wrong_head", "too_short",
                                         "too_long", "failed",      "hung" };

    return names[outcome];
}

struct plan plan_of(unsigned random, long most)
{
    struct plan plan = {
        .style = random % STYLES,
        .waits = random / 3 % WAITS,
        .chunked = random / 12 % 3 == 0,
        .pieces = random / 36 % 5 == 0,
        .seed = random % 100003,
        .keepalive = random / 180 % 3,
    };

    /* Chunks are for those to whom they are not shown. */
    plan.chunked = plan.chunked && plan.style == ONE_SHOT_10;
    plan.size = (long)(random / 540 % (unsigned)(random % 4 ? 2000 : most));
    return plan;
}

void exchange_init(struct exchange *e, const struct plan *plan)
{
    static struct interrupted nobody_asked;

    memset(e, 0, sizeof *e);
    e->plan = plan;
    e->fd = e->epfd = -1;
    e->interrupted = &nobody_asked;
    exchange_ask(e);
}

void exchange_ask(struct exchange *e)
{
    static const char *const versions[] = { "1.0\r\n", "1.1\r\nConnection: close\r\n", "1.1\r\n" };
    const struct plan *p = e->plan;
    char stall[80] = "";

    if (p->stall_ms)
        snprintf(stall, sizeof stall, "&split=1&stall-body=%ld", p->stall_ms);
    e->request_len = (size_t)snprintf(
        e->request, sizeof e->request, "GET /%s/%ld?seed=%u%s%s HTTP/%sHost: 127.0.0.1:%d\r\n\r\n",
        p->chunked ? "chunked" : "bytes", p->size, p->seed, p->pieces ? "&piece=1500&delay=300" : "",
        stall, versions[p->style], port);
    e->head_len = 0;
    e->in_body = false;
    e->length = -1;
    e->body = 0;
}

static enum outcome fail(struct exchange *e, const char *call)
{
    e->error = errno;
    e->call = call;
    return FAILED;
}

/* Until the socket may be ready; false: nothing came for so long that it must be called hanging. */
static bool wait_for(struct exchange *e, short events)
{
    struct epoll_event event = { .events = (unsigned)events | EPOLLRDHUP, .data.fd = e->fd };
    long end = now_ms() + PATIENCE_MS;
    int n;

    if (e->plan->waits == BY_EPOLL && epoll_ctl(e->epfd, EPOLL_CTL_MOD, e->fd, &event) != 0)
        need(false, "epoll_ctl");
    do {
        struct pollfd p = { .fd = e->fd, .events = events };
        int left = (int)(end - now_ms());
        if (left <= 0)
            return false;
        n = e->plan->waits == BY_POLL ? poll(&p, 1, left) : epoll_wait(e->epfd, &event, 1, left);
        if (n < 0 && errno == EINTR)
            e->interrupted->wait++;
    } while (n < 0 && errno == EINTR);
    return n != 0;
}

static bool prepare_epoll(struct exchange *e)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP, .data.fd = e->fd };

    if (e->plan->waits < BY_EPOLL)
        return true;
    if (e->plan->waits == BY_EPOLL_ET)
        event.events |= EPOLLET;
    e->epfd = epoll_create1(EPOLL_CLOEXEC);
    return e->epfd >= 0 && epoll_ctl(e->epfd, EPOLL_CTL_ADD, e->fd, &event) == 0;
}

/* connect(2): one that was interrupted goes on by itself, like one that does not block. */
static int finish_connect(struct exchange *e)
{
    struct pollfd p = { .fd = e->fd, .events = POLLOUT };
    int error = 0;
    socklen_t len = sizeof error;
    int n;

    do
        n = poll(&p, 1, PATIENCE_MS);
    while (n < 0 && errno == EINTR);
    if (n == 1 && getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0)
        errno = error;
    else
        errno = ETIMEDOUT;
    return errno ? -1 : 0;
}

int exchange_connect(struct exchange *e)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    bool blocks = e->plan->waits == BLOCKING;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    e->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (blocks ? 0 : SOCK_NONBLOCK), 0);
    if (e->fd < 0 || !prepare_epoll(e))
        return -1;
    if (connect(e->fd, (struct sockaddr *)&to, sizeof to) == 0)
        return 0;
    if (errno == EINTR)
        e->interrupted->connect++;
    return errno == EINTR || errno == EINPROGRESS ? finish_connect(e) : -1;
}

static enum outcome send_request(struct exchange *e)
{
    size_t sent = 0;

    while (sent < e->request_len) {
        ssize_t n = send(e->fd, e->request + sent, e->request_len - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN && e->plan->waits != BLOCKING) {
            if (!wait_for(e, POLLOUT))
                return HUNG;
        } else if (errno != EINTR)
            return fail(e, "send");
        else
            e->interrupted->send++;
    }
    return GOOD;
}

static enum outcome head_done(struct exchange *e)
{
    e->head[e->head_len] = '\0';
    e->in_body = true;
    char *length = strcasestr(e->head, "\r\nContent-Length:");
    if (length)
        e->length = atol(length + 17);
    bool fine = strncmp(e->head, "HTTP/1.1 200 ", 13) == 0 && (e->length < 0 || e->length == e->plan->size);
    bool close = strcasestr(e->head, "\r\nConnection: close\r\n") != NULL;
    if (e->plan->style != KEPT && e->length >= 0)
        fine = fine && close;
    return fine ? GOOD : WRONG_HEAD;
}

enum outcome exchange_feed(struct exchange *e, const char *bytes, size_t n)
{
    size_t i = 0;

    for (; i < n && !e->in_body; i++) {
        if (e->head_len == sizeof e->head - 1)
            return WRONG_HEAD;
        e->head[e->head_len++] = bytes[i];
        if (e->head_len >= 4 && memcmp(e->head + e->head_len - 4, "\r\n\r\n", 4) == 0 && head_done(e))
            return WRONG_HEAD;
    }
    for (; i < n; i++, e->body++)
        if (e->body >= e->plan->size)
            return TOO_LONG;
        else if (bytes[i] != pattern_byte(e->plan->seed, e->body))
            return WRONG_BYTES;
    return GOOD;
}

bool exchange_complete(const struct exchange *e)
{
    return e->in_body && e->length >= 0 && e->body >= e->length;
}

static enum outcome receive(struct exchange *e)
{
    char buf[16384];

    while (e->plan->style != KEPT || !exchange_complete(e)) {
        size_t room = 100 + (e->plan->seed * 31 + (unsigned)e->body) % (sizeof buf - 100);
        if (e->before_read)
            e->before_read(e);
        ssize_t n = recv(e->fd, buf, room, 0);
        if (n > 0) {
            enum outcome now = exchange_feed(e, buf, (size_t)n);
            if (now != GOOD)
                return now;
        } else if (n == 0) {
            return e->in_body && e->body == e->plan->size ? GOOD : TOO_SHORT;
        } else if (errno == EAGAIN && e->plan->waits != BLOCKING) {
            if (!wait_for(e, POLLIN))
                return HUNG;
        } else if (errno != EINTR) {
            return fail(e, "recv");
        } else {
            e->interrupted->recv++;
        }
    }
    return GOOD;
}

/* close(2) is a cancellation point: the number would be lost there. */
void exchange_drop(struct exchange *e)
{
    int fd = atomic_exchange(&e->fd, -1), epfd = atomic_exchange(&e->epfd, -1);
    int state;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    if (fd >= 0)
        close(fd);
    if (epfd >= 0)
        close(epfd);
    pthread_setcancelstate(state, NULL);
}

enum outcome exchange_run(struct exchange *e)
{
    enum outcome outcome = exchange_connect(e) == 0 ? GOOD : fail(e, "connect");

    for (long left = e->plan->style == KEPT ? e->plan->keepalive : 0; outcome == GOOD; left--) {
        outcome = send_request(e);
        if (outcome == GOOD)
            outcome = receive(e);
        if (left <= 0)
            break;
        exchange_ask(e);
    }
    exchange_drop(e);
    return outcome;
}
