/* SPDX-License-Identifier: ISC */
/* Threads that wait on a socket while another ends its exchange. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_t begin(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    errno = pthread_create(&thread, NULL, function, argument);
    if (errno)
        said("pthread_create", -1);
    return thread;
}

static void *receives(void *argument)
{
    struct talk *t = argument;
    char buf[100];

    ssize_t n = recv(t->fd, buf, sizeof buf, 0);

    return (void *)(intptr_t)(n < 0 ? -errno : n);
}

static void *polls(void *argument)
{
    struct talk *t = argument;
    struct pollfd p = { .fd = t->fd, .events = POLLIN };

    return (void *)(intptr_t)poll(&p, 1, -1);
}

static void cancel(struct talk *t, void *(*function)(void *))
{
    void *result;
    pthread_t thread = begin(function, t);

    sleep_ms(40);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    say("%s", result == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
    talk_end(t);
}

/* The answer takes 150 ms: it is not there yet. */
void op_cancel_recv(struct talk *t)
{
    if (t->state == STATE_MIDDLE) {
        struct talk next;
        talk_end(t);
        talk_init(&next);
        talk_reach(&next, STATE_CONNECTED);
        cancel(&next, receives);
        return;
    }
    cancel(t, receives);
}

void op_cancel_poll(struct talk *t)
{
    if (t->state == STATE_CONNECTED)
        cancel(t, polls);
    else
        talk_end(t);
}

/* Several take from one stream: how much came is known, not who got it. */
struct shared {
    struct talk *t;
    long total;
    unsigned sum;
    int ended, errors;
    int epoll;
};

static bool add(struct shared *s, ssize_t n, const unsigned char *buf)
{
    if (n <= 0) {
        __atomic_add_fetch(n == 0 ? &s->ended : &s->errors, 1, __ATOMIC_SEQ_CST);
        return false;
    }
    unsigned sum = 0;
    for (ssize_t i = 0; i < n; i++)
        sum += buf[i];
    __atomic_add_fetch(&s->sum, sum, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&s->total, n, __ATOMIC_SEQ_CST);
    return true;
}

static void *drains(void *argument)
{
    struct shared *s = argument;
    unsigned char buf[700];

    while (add(s, recv(s->t->fd, buf, sizeof buf, 0), buf))
        ;
    return NULL;
}

/* Takes what is there; false: the end. */
static bool drain_now(struct shared *s)
{
    unsigned char buf[700];

    for (;;) {
        ssize_t n = recv(s->t->fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return true;
        if (!add(s, n, buf))
            return false;
    }
}

static void *drains_by_poll(void *argument)
{
    struct shared *s = argument;

    do {
        struct pollfd p = { .fd = s->t->fd, .events = POLLIN };
        poll(&p, 1, -1);
    } while (drain_now(s));
    return NULL;
}

static void *drains_by_select(void *argument)
{
    struct shared *s = argument;

    do {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(s->t->fd, &set);
        select(s->t->fd + 1, &set, NULL, NULL, NULL);
    } while (drain_now(s));
    return NULL;
}

static void *drains_by_epoll(void *argument)
{
    struct shared *s = argument;
    struct epoll_event event;

    do {
        epoll_wait(s->epoll, &event, 1, -1);
    } while (drain_now(s));
    return NULL;
}

/* A client that keeps its connection sees no end: then the server closes. */
static void start_over(struct talk *t)
{
    if (!run.keep)
        return;
    talk_end(t);
    run.keep = false;
    talk_init(t);
    talk_reach(t, STATE_MIDDLE);
    run.keep = true;
}

static void several(struct talk *t, void *(*function)(void *), uint32_t events)
{
    struct shared s = { .t = t };
    pthread_t threads[3];

    start_over(t);
    if (events) {
        struct epoll_event event = { .events = events };
        s.epoll = epoll_create1(0);
        said("add", epoll_ctl(s.epoll, EPOLL_CTL_ADD, t->fd, &event));
    }
    for (int i = 0; i < 3; i++)
        threads[i] = begin(function, &s);
    sleep_ms(20);
    drains(&s);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    say("%ld bytes, sum %u, %d ended, %d errors", s.total, s.sum, s.ended, s.errors);
    if (events)
        close(s.epoll);
    said("close", close(t->fd));
}

void op_blocked_recv(struct talk *t)
{
    several(t, drains, 0);
}

void op_blocked_poll(struct talk *t)
{
    several(t, drains_by_poll, 0);
}

void op_blocked_select(struct talk *t)
{
    several(t, drains_by_select, 0);
}

void op_blocked_epoll(struct talk *t)
{
    several(t, drains_by_epoll, EPOLLIN);
}

void op_blocked_epoll_et(struct talk *t)
{
    struct shared s = { .t = t };
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };

    start_over(t);
    s.epoll = epoll_create1(0);
    said("add", epoll_ctl(s.epoll, EPOLL_CTL_ADD, t->fd, &event));
    pthread_t thread = begin(drains_by_epoll, &s);
    sleep_ms(20);
    pthread_join(thread, NULL);
    say("%ld bytes, sum %u, %d ended, %d errors", s.total, s.sum, s.ended, s.errors);
    close(s.epoll);
    said("close", close(t->fd));
}

static void *awaits_hangup(void *argument)
{
    struct talk *t = argument;
    struct pollfd p = { .fd = t->fd, .events = POLLRDHUP };

    poll(&p, 1, 3000);
    return (void *)(intptr_t)p.revents;
}

void op_blocked_rdhup(struct talk *t)
{
    void *events;
    pthread_t thread = begin(awaits_hangup, t);

    sleep_ms(20);
    talk_finish(t);
    pthread_join(thread, &events);
    said("hung up", ((intptr_t)events & POLLRDHUP) != 0);
    said("close", close(t->fd));
}

/* The descriptor goes while a thread waits on it: the kernel lets that one finish. */
void op_blocked_close(struct talk *t)
{
    struct talk next;
    void *result;

    talk_end(t);
    talk_init(&next);
    talk_reach(&next, STATE_CONNECTED);
    pthread_t thread = begin(receives, &next);
    sleep_ms(20);
    /* Without an end of the sending side it would wait for ever. */
    shutdown(next.fd, SHUT_WR);
    said("close", close(next.fd));
    pthread_join(thread, &result);
    say("recv: %ld", (long)(intptr_t)result);
}

void op_blocked_shutdown(struct talk *t)
{
    void *result;

    talk_end(t);
    struct talk next;
    talk_init(&next);
    talk_reach(&next, STATE_CONNECTED);
    pthread_t thread = begin(receives, &next);
    sleep_ms(20);
    said("shutdown", shutdown(next.fd, SHUT_RDWR));
    pthread_join(thread, &result);
    say("recv: %ld", (long)(intptr_t)result);
    said("close", close(next.fd));
}

static void *sends(void *argument)
{
    sleep_ms(30);
    talk_reach(argument, STATE_SENT);
    return NULL;
}

/* One blocks in recv before another has sent. */
void op_send_thread(struct talk *t)
{
    static char buf[16];
    pthread_t thread = begin(sends, t);
    ssize_t n = recv(t->fd, buf, sizeof buf, 0);

    pthread_join(thread, NULL);
    if (n > 0)
        talk_feed(t, buf, (size_t)n);
    else
        talk_ended(t, n);
    talk_end(t);
}

static void *requests(void *argument)
{
    int *bad = argument;

    for (int i = 0; i < 20; i++) {
        struct talk t;
        talk_init(&t);
        talk_reach(&t, STATE_ENDED);
        if (t.body != BODY_BYTES || close(t.fd) != 0)
            ++*bad;
    }
    return NULL;
}

void op_threads_many(struct talk *unused)
{
    pthread_t threads[8];
    int bad[8] = { 0 }, all = 0;

    for (int i = 0; i < 8; i++)
        threads[i] = begin(requests, &bad[i]);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        all += bad[i];
    }
    said("bad", all);
    run.warm = false;
}
