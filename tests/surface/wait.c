/* SPDX-License-Identifier: ISC */
/* The body has been received to its last byte, the end of file has not: whoever waits for that, in whatever
 * way, is to be told. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 2000, SHORT_MS = 100 };

static const struct timespec long_time = { .tv_sec = LONG_MS / 1000 };

static void say_events(const char *what, int n, const struct epoll_event *events)
{
    said(what, n);
    for (int i = 0; i < n; i++)
        say("%x %llx", events[i].events, (unsigned long long)events[i].data.u64);
}

static struct pollfd asked(const struct talk *t)
{
    return (struct pollfd){ .fd = t->fd, .events = POLLIN | POLLRDHUP };
}

static int set_with(int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.u64 = 77 };
    int set = epoll_create1(EPOLL_CLOEXEC);

    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0)
        said("add", -1);
    return set;
}

static void wait_in(int set, int ms)
{
    struct epoll_event events[4];

    say_events("epoll_wait", epoll_wait(set, events, 4, ms), events);
}

static void take_body(struct talk *t)
{
    talk_body(t, t->length > 0 ? (size_t)t->length : 0);
}

static void finish(struct talk *t, int set)
{
    talk_end(t);
    if (set >= 0)
        close(set);
}

/* All of the answer has come, and the end with it; nothing was received. */
static void let_come(struct talk *t)
{
    talk_reach(t, STATE_SENT);
    sleep_ms(150);
}

static void say_poll(const struct talk *t, const char *what, short events)
{
    struct pollfd p = { .fd = t->fd, .events = events };

    poll(&p, 1, SHORT_MS);
    said(what, p.revents);
}

static void say_polls(const struct talk *t)
{
    say_poll(t, "IN and RDHUP", POLLIN | POLLRDHUP);
    say_poll(t, "IN", POLLIN);
    say_poll(t, "OUT", POLLOUT);
    say_poll(t, "RDHUP", POLLRDHUP);
    say_poll(t, "all", POLLIN | POLLOUT | POLLRDHUP | POLLPRI);
    say_poll(t, "nothing", 0);
}

void op_wait_unread(struct talk *t)
{
    let_come(t);
    say_polls(t);
    talk_body(t, 1000);
    say_polls(t);
    talk_finish(t);
    say_polls(t);
    finish(t, -1);
}

static void unread_in_set(struct talk *t, uint32_t modes)
{
    static const uint32_t masks[] = { EPOLLIN | EPOLLRDHUP, EPOLLRDHUP, EPOLLIN | EPOLLOUT | EPOLLRDHUP };

    let_come(t);
    for (int i = 0; i < 3; i++) {
        int set = set_with(t->fd, masks[i] | modes);
        wait_in(set, SHORT_MS);
        wait_in(set, 0);
        close(set);
    }
    int set = set_with(t->fd, EPOLLIN | EPOLLRDHUP | modes);
    wait_in(set, SHORT_MS);
    talk_finish(t);
    wait_in(set, 0);
    finish(t, set);
}

void op_wait_unread_epoll(struct talk *t)
{
    unread_in_set(t, 0);
}

void op_wait_unread_edge(struct talk *t)
{
    unread_in_set(t, EPOLLET);
}

void op_wait_unread_oneshot(struct talk *t)
{
    unread_in_set(t, EPOLLONESHOT);
}

static void say_names(const struct talk *t)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;

    said("getpeername", getpeername(t->fd, (struct sockaddr *)&name, &len));
    len = sizeof name;
    said("getsockname", getsockname(t->fd, (struct sockaddr *)&name, &len));
}

/* Both sides have ended: the client's first, or the server's. */
void op_wait_hung_up(struct talk *t)
{
    talk_reach(t, STATE_SENT);
    if (t->state == STATE_SENT && run.warm)
        sleep_ms(150);
    said("shutdown", shutdown(t->fd, SHUT_WR));
    sleep_ms(150);
    say_polls(t);
    int set = set_with(t->fd, EPOLLOUT);
    wait_in(set, SHORT_MS);
    say_names(t);
    said("shutdown", shutdown(t->fd, SHUT_WR));
    talk_finish(t);
    say_polls(t);
    wait_in(set, SHORT_MS);
    say_names(t);
    said("shutdown", shutdown(t->fd, SHUT_RDWR));
    finish(t, set);
}

/* The server's end has been received, then the client ends its side. */
void op_wait_hang_up(struct talk *t)
{
    int set = set_with(t->fd, EPOLLIN | EPOLLRDHUP | EPOLLET);

    talk_finish(t);
    sleep_ms(20);
    wait_in(set, SHORT_MS);
    say_polls(t);
    said("shutdown", shutdown(t->fd, SHUT_WR));
    sleep_ms(20);
    wait_in(set, SHORT_MS);
    say_polls(t);
    said("shutdown", shutdown(t->fd, SHUT_WR));
    say_names(t);
    finish(t, set);
}

void op_wait_poll(struct talk *t)
{
    take_body(t);
    struct pollfd p = asked(t);
    said("poll", poll(&p, 1, LONG_MS));
    said("events", p.revents);
    finish(t, -1);
}

void op_wait_ppoll(struct talk *t)
{
    take_body(t);
    struct pollfd p = asked(t);
    said("ppoll", ppoll(&p, 1, &long_time, NULL));
    said("events", p.revents);
    finish(t, -1);
}

extern int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask, size_t room)
    __attribute__((weak));

void op_wait_ppoll_chk(struct talk *t)
{
    take_body(t);
    struct pollfd p = asked(t);
    said("__ppoll_chk", __ppoll_chk ? __ppoll_chk(&p, 1, &long_time, NULL, sizeof p) : 1);
    finish(t, -1);
}

void op_wait_raw(struct talk *t)
{
    take_body(t);
    struct pollfd p = asked(t);
    said("SYS_ppoll", syscall(SYS_ppoll, &p, 1, &(struct timespec){ LONG_MS / 1000, 0 }, NULL, 8));
    said("events", p.revents);
    finish(t, -1);
}

void op_wait_select(struct talk *t)
{
    struct timeval time = { .tv_sec = LONG_MS / 1000 };
    fd_set in;

    take_body(t);
    FD_ZERO(&in);
    FD_SET(t->fd, &in);
    said("select", select(t->fd + 1, &in, NULL, NULL, &time));
    said("is set", FD_ISSET(t->fd, &in) != 0);
    finish(t, -1);
}

void op_wait_pselect(struct talk *t)
{
    fd_set in;

    take_body(t);
    FD_ZERO(&in);
    FD_SET(t->fd, &in);
    said("pselect", pselect(t->fd + 1, &in, NULL, NULL, &long_time, NULL));
    said("is set", FD_ISSET(t->fd, &in) != 0);
    finish(t, -1);
}

static void wait_epoll(struct talk *t, uint32_t events)
{
    int set = set_with(t->fd, events);

    take_body(t);
    wait_in(set, LONG_MS);
    wait_in(set, SHORT_MS);
    finish(t, set);
}

void op_wait_epoll(struct talk *t)
{
    wait_epoll(t, EPOLLIN | EPOLLRDHUP);
}

void op_wait_epoll_rdhup(struct talk *t)
{
    wait_epoll(t, EPOLLRDHUP);
}

/* No bytes may come after the wait began: an edge for the last of them would differ from run to run. */
void op_wait_epoll_et(struct talk *t)
{
    take_body(t);
    int set = set_with(t->fd, EPOLLRDHUP | EPOLLET);
    wait_in(set, LONG_MS);
    wait_in(set, SHORT_MS);
    finish(t, set);
}

void op_wait_epoll_oneshot(struct talk *t)
{
    wait_epoll(t, EPOLLRDHUP | EPOLLONESHOT);
}

void op_wait_epoll_late(struct talk *t)
{
    take_body(t);
    int set = set_with(t->fd, EPOLLIN | EPOLLRDHUP);
    wait_in(set, LONG_MS);
    finish(t, set);
}

void op_wait_epoll_mod(struct talk *t)
{
    struct epoll_event other = { .events = EPOLLRDHUP, .data.u64 = 78 };
    int set = set_with(t->fd, EPOLLIN);

    take_body(t);
    said("mod", epoll_ctl(set, EPOLL_CTL_MOD, t->fd, &other));
    wait_in(set, LONG_MS);
    said("del", epoll_ctl(set, EPOLL_CTL_DEL, t->fd, NULL));
    wait_in(set, SHORT_MS);
    said("del", epoll_ctl(set, EPOLL_CTL_DEL, t->fd, NULL));
    finish(t, set);
}

void op_wait_epoll_pwait(struct talk *t)
{
    struct epoll_event events[4];
    sigset_t none;
    int set = set_with(t->fd, EPOLLIN | EPOLLRDHUP);

    take_body(t);
    sigemptyset(&none);
    say_events("epoll_pwait", epoll_pwait(set, events, 4, LONG_MS, &none), events);
#ifdef SYS_epoll_pwait2
    extern int epoll_pwait2(int, struct epoll_event *, int, const struct timespec *, const sigset_t *)
        __attribute__((weak));
    if (epoll_pwait2)
        say_events("epoll_pwait2", epoll_pwait2(set, events, 4, &long_time, &none), events);
#endif
    finish(t, set);
}

/* A set in a set, and a set that is polled. */
void op_wait_epoll_nested(struct talk *t)
{
    int inner = set_with(t->fd, EPOLLIN), outer = set_with(inner, EPOLLIN);
    struct pollfd p = { .fd = inner, .events = POLLIN };

    take_body(t);
    wait_in(outer, LONG_MS);
    said("poll", poll(&p, 1, LONG_MS));
    wait_in(inner, LONG_MS);
    close(outer);
    finish(t, inner);
}

void op_wait_epoll_nested_poll(struct talk *t)
{
    int inner = set_with(t->fd, EPOLLIN);
    struct pollfd p = { .fd = inner, .events = POLLIN };

    take_body(t);
    said("poll", poll(&p, 1, LONG_MS));
    finish(t, inner);
}

/* Another set has the number by now. */
void op_wait_epoll_other(struct talk *t)
{
    int set = set_with(t->fd, EPOLLIN), ends[2];

    take_body(t);
    if (pipe(ends) != 0)
        return;
    close(set);
    int other = epoll_create1(0);
    said("the same number", other == set);
    wait_in(other, SHORT_MS);
    close(ends[0]);
    close(ends[1]);
    finish(t, other);
}

void op_wait_epoll_dup(struct talk *t)
{
    int set = set_with(t->fd, EPOLLIN), copy = dup(set);

    take_body(t);
    wait_in(copy, LONG_MS);
    close(copy);
    wait_in(set, LONG_MS);
    finish(t, set);
}

static int ready_pipe(int set, uint64_t data, int ends[2])
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = data };

    if (pipe(ends) != 0 || write(ends[1], "x", 1) != 1)
        return -1;
    return epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event);
}

/* There is room for one of two only: each has its turn. */
static void see_both(struct talk *t, int set, const int ends[2])
{
    struct epoll_event event;
    int seen = 0;

    for (long until = now_ms() + LONG_MS; seen != 3 && now_ms() < until;)
        if (epoll_wait(set, &event, 1, LONG_MS) == 1)
            seen |= event.data.u64 == 77 ? 1 : 2;
    said("seen", seen);
    close(ends[0]);
    close(ends[1]);
    finish(t, set);
}

/* Another one is ready as well, under the same word. */
void op_wait_epoll_crowd(struct talk *t)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 78 }, events[4];
    int set = set_with(t->fd, EPOLLIN), ends[2];

    take_body(t);
    struct pollfd p = asked(t);
    said("poll", poll(&p, 1, LONG_MS));
    said("ready", ready_pipe(set, 77, ends));
    say_events("epoll_wait", epoll_wait(set, events, 4, LONG_MS), events);
    said("mod", epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event));
    see_both(t, set, ends);
}

void op_wait_epoll_full(struct talk *t)
{
    int set = set_with(t->fd, EPOLLIN), ends[2];

    said("ready", ready_pipe(set, 78, ends));
    take_body(t);
    see_both(t, set, ends);
}

void op_wait_fork(struct talk *t)
{
    int set = set_with(t->fd, EPOLLIN);

    take_body(t);
    pid_t pid = fork();
    if (pid == 0) {
        wait_in(set, LONG_MS);
        _exit(0);
    }
    say_child("child", pid);
    wait_in(set, LONG_MS);
    finish(t, set);
}

static void *poll_it(void *arg)
{
    struct pollfd p = asked(arg);

    said("poll", poll(&p, 1, LONG_MS));
    return NULL;
}

void op_wait_thread(struct talk *t)
{
    pthread_t thread;

    take_body(t);
    if (pthread_create(&thread, NULL, poll_it, t) == 0)
        pthread_join(thread, NULL);
    finish(t, -1);
}
