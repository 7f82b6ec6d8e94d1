/* SPDX-License-Identifier: ISC */
/* dup and its kind, fcntl: a second number for a socket, and flags. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <sys/types.h>
#include <sys/epoll.h>

/* The original goes; the copy carries on. */
static void move_to(struct talk *t, const char *what, int copy)
{
    said(what, copy < 0 ? -1 : copy != t->fd);
    said("flags", fcntl(copy, F_GETFD));
    said("close the first", close(t->fd));
    said("the first is", fcntl(t->fd, F_GETFD));
    t->fd = copy;
    talk_end(t);
}

void op_plain(struct talk *t)
{
    talk_end(t);
}

void op_dup(struct talk *t)
{
    move_to(t, "dup", dup(t->fd));
}

void op_dup_keep_both(struct talk *t)
{
    int copy = dup(t->fd);

    said("dup", copy < 0 ? -1 : 0);
    talk_finish(t);
    said("close the first", close(t->fd));
    char byte;
    if (!run.keep)
        said("read from the copy", recv(copy, &byte, 1, 0));
    said("close the copy", close(copy));
}

void op_dup_alternate(struct talk *t)
{
    int copy = dup(t->fd);

    talk_reach(t, t->state < STATE_SENT ? STATE_SENT : t->state);
    for (int i = 0; i < 30 && talk_take(t, 500); i++) {
        int other = copy;
        copy = t->fd;
        t->fd = other;
    }
    talk_end(t);
    said("close the copy", close(copy));
}

void op_dup_close_copy(struct talk *t)
{
    said("close", close(dup(t->fd)));
    talk_end(t);
}

void op_dup2(struct talk *t)
{
    int to = open("/dev/null", O_RDONLY);

    move_to(t, "dup2", dup2(t->fd, to));
}

/* Something else takes its number. */
void op_dup2_onto(struct talk *t)
{
    int null = open("/dev/null", O_RDONLY);
    char byte;

    said("dup2", dup2(null, t->fd) == t->fd);
    said("read", read(t->fd, &byte, 1));
    said("send", send(t->fd, "x", 1, 0));
    said("close", close(t->fd));
    said("close", close(null));
}

void op_dup2_self(struct talk *t)
{
    said("dup2", dup2(t->fd, t->fd) == t->fd);
    said("dup3", dup3(t->fd, t->fd, 0));
    talk_end(t);
    said("dup2 of a closed one", dup2(t->fd, t->fd));
}

void op_dup3(struct talk *t)
{
    int to = open("/dev/null", O_RDONLY);

    said("bad flags", dup3(t->fd, to, 12345));
    move_to(t, "dup3", dup3(t->fd, to, O_CLOEXEC));
}

void op_dupfd(struct talk *t)
{
    move_to(t, "F_DUPFD", fcntl(t->fd, F_DUPFD, 0));
}

void op_dupfd_cloexec(struct talk *t)
{
    move_to(t, "F_DUPFD_CLOEXEC", fcntl64(t->fd, F_DUPFD_CLOEXEC, t->fd));
}

/* To where private descriptors may be. */
void op_dupfd_high(struct talk *t)
{
    int high = fcntl(t->fd, F_DUPFD, 900);

    said("at least 900", high >= 900);
    int higher = dup2(high, 1023);
    said("1023", higher == 1023);
    said("close", close(high));
    move_to(t, "F_DUPFD", higher);
    said("again", dup2(1, 1023) == 1023);
    said("close", close(1023));
}

void op_dup_many(struct talk *t)
{
    int copies[20];

    for (int i = 0; i < 20; i++)
        copies[i] = dup(t->fd);
    talk_finish(t);
    char byte;
    for (int i = 0; i < 20; i++)
        if (!run.keep)
            said("read from a copy", read(copies[i], &byte, 1));
    for (int i = 0; i < 20; i++)
        close(copies[i]);
    said("close", close(t->fd));
}

/* O_NONBLOCK put on, and off again. */
void op_setfl(struct talk *t)
{
    int before = fcntl(t->fd, F_GETFL);

    said("on", fcntl(t->fd, F_SETFL, before | O_NONBLOCK));
    said("is", fcntl(t->fd, F_GETFL) == (before | O_NONBLOCK));
    if (t->state == STATE_CONNECTED) {
        char byte;
        said("read", recv(t->fd, &byte, 1, 0));
    }
    said("off", fcntl64(t->fd, F_SETFL, before & ~O_NONBLOCK));
    said("is", fcntl64(t->fd, F_GETFL) == before);
    said("on", fcntl(t->fd, F_SETFL, before | O_NONBLOCK));
    talk_finish(t);
    said("is", fcntl(t->fd, F_GETFL) == (before | O_NONBLOCK));
    said("close", close(t->fd));
}

void op_getfl(struct talk *t)
{
    said("flags", fcntl(t->fd, F_GETFL));
    said("descriptor flags", fcntl(t->fd, F_GETFD));
    talk_finish(t);
    said("flags", fcntl(t->fd, F_GETFL));
    said("descriptor flags", fcntl(t->fd, F_GETFD));
    said("close", close(t->fd));
}

void op_setfd(struct talk *t)
{
    int copy = dup(t->fd);

    said("set", fcntl(t->fd, F_SETFD, FD_CLOEXEC));
    said("get", fcntl(t->fd, F_GETFD));
    said("the copy's", fcntl(copy, F_GETFD));
    talk_finish(t);
    said("get", fcntl(t->fd, F_GETFD));
    said("the copy's", fcntl(copy, F_GETFD));
    close(copy);
    said("close", close(t->fd));
}

void op_fcntl_odd(struct talk *t)
{
    struct flock lock = { .l_type = F_WRLCK };
    int size = 0;

    said("unknown", fcntl(t->fd, 98765, &size));
    said("lock", fcntl(t->fd, F_GETLK, &lock));
    said("owner", fcntl(t->fd, F_GETOWN));
    said("signal", fcntl(t->fd, F_GETSIG));
    said("lease", fcntl(t->fd, F_GETLEASE));
    said("pipe size", fcntl(t->fd, F_GETPIPE_SZ));
    said("dupfd too high", fcntl(t->fd, F_DUPFD, 100000000));
    said("dupfd negative", fcntl(t->fd, F_DUPFD, -1));
    said("dup2 too high", dup2(t->fd, 100000000));
    said("dup2 negative", dup2(t->fd, -1));
    talk_end(t);
}

/* Numbers that are no descriptors. */
void op_bad_numbers(struct talk *t)
{
    static const int numbers[] = { -1, -100, 777, 70000, 2147483647 };
    char byte;

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int fd = numbers[i];
        said("close", close(fd));
        said("dup", dup(fd));
        said("dup2", dup2(fd, t->fd));
        said("fcntl", fcntl(fd, F_GETFL));
        said("recv", recv(fd, &byte, 1, 0));
        said("send", send(fd, "", 1, 0));
        said("shutdown", shutdown(fd, SHUT_RDWR));
    }
    talk_end(t);
}

void op_close_twice(struct talk *t)
{
    int fd = t->fd;

    talk_end(t);
    said("close again", close(fd));
    char byte;
    said("recv", recv(fd, &byte, 1, 0));
    said("send", send(fd, "x", 1, 0));
    said("write", write(fd, "x", 1));
    said("fcntl", fcntl(fd, F_GETFD));
    said("dup", dup(fd));
}

static void say_registered(int set, const struct talk *t)
{
    struct epoll_event event = { .events = EPOLLOUT, .data.u32 = 5 }, told = { 0 };

    said("mod", epoll_ctl(set, EPOLL_CTL_MOD, t->fd, &event));
    said("epoll_wait", epoll_wait(set, &told, 1, 100));
    said("events", (long)(told.events & EPOLLOUT));
}

/* A number of the same socket: a registration stays. */
void op_dup2_registered(struct talk *t)
{
    struct epoll_event event = { .events = EPOLLOUT };
    int set = epoll_create1(0), copy = dup(t->fd);

    said("add", epoll_ctl(set, EPOLL_CTL_ADD, t->fd, &event));
    said("dup2", dup2(copy, t->fd) == t->fd);
    say_registered(set, t);
    said("dup3", dup3(copy, t->fd, O_CLOEXEC) == t->fd);
    said("flags", fcntl(t->fd, F_GETFD));
    say_registered(set, t);
    close(copy);
    say_registered(set, t);
    talk_end(t);
    close(set);
}

/* What a child closes stays registered in the parent's set. */
void op_fork_registered(struct talk *t)
{
    struct epoll_event event = { .events = EPOLLOUT };
    int set = epoll_create1(0);

    said("add", epoll_ctl(set, EPOLL_CTL_ADD, t->fd, &event));
    pid_t pid = fork();
    if (pid == 0) {
        close(t->fd);
        _exit(0);
    }
    say_child("child", pid);
    say_registered(set, t);
    talk_end(t);
    close(set);
}
