/* SPDX-License-Identifier: ISC */
/* fork, and who goes on with the exchange. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/older_libc.h"

void op_fork_child_reads(struct talk *t)
{
    pid_t pid = fork();

    if (pid == 0) {
        talk_end(t);
        talk_whole(1);
        _exit(0);
    }
    say_child("child", pid);
    said("close", close(t->fd));
}

void op_fork_parent_reads(struct talk *t)
{
    pid_t pid = fork();

    if (pid == 0) {
        said("child closes", close(t->fd));
        talk_whole(1);
        _exit(0);
    }
    say_child("child", pid);
    talk_end(t);
}

/* The child takes some, the parent the rest. */
void op_fork_alternate(struct talk *t)
{
    pid_t pid = fork();

    if (t->state == STATE_SENT) { /* each must know how far the other is */
        if (pid == 0)
            _exit(0);
        say_child("child", pid);
        talk_body(t, MIDDLE_BYTES);
        pid = fork();
    }
    if (pid == 0) {
        talk_body(t, 7000);
        say("%016llx", (unsigned long long)t->hash);
        _exit(0);
    }
    say_child("child", pid);
    t->body = 7000;
    talk_end(t);
}

void op_fork_child_exits(struct talk *t)
{
    pid_t pid = fork();

    if (pid == 0)
        exit(3);
    say_child("child", pid);
    talk_end(t);
}

/* Both sides use what they had, at the same time. */
void op_fork_both_request(struct talk *t)
{
    static struct talk own[10];
    pid_t pid = fork();
    int bad = 0;

    for (int i = 0; i < 10; i++) {
        talk_init(&own[i]);
        talk_reach(&own[i], STATE_ENDED);
        close(own[i].fd);
        bad += own[i].body != BODY_BYTES;
    }
    if (pid == 0)
        _exit(bad);
    say_child("child", pid);
    said("bad", bad);
    talk_end(t);
}

void op_fork_child_closes(struct talk *t)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
        _exit(0);
    }
    say_child("child", pid);
    talk_end(t);
}

void op_fork_twice(struct talk *t)
{
    pid_t pid = fork();

    if (pid == 0) {
        if ((pid = fork()) == 0) {
            talk_end(t);
            talk_whole(2);
            exit(0);
        }
        say_child("grandchild", pid);
        talk_whole(1);
        exit(0);
    }
    say_child("child", pid);
    said("close", close(t->fd));
}

/* No handler of pthread_atfork runs. */
void op_fork_raw(struct talk *t)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (pid == 0) {
        talk_end(t);
        talk_whole(2);
        _exit(0);
    }
    say_child("child", pid);
    said("close", close(t->fd));
    pid = _Fork();
    if (pid == 0) {
        talk_whole(2);
        _exit(0);
    }
    say_child("child", pid);
}

/* The parent goes at once, the child finishes. */
void op_fork_orphan(struct talk *t)
{
    int pipes[2];
    char byte;

    said("pipe", pipe(pipes));
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() != 0)
            _exit(0);
        sleep_ms(20);
        talk_end(t);
        talk_whole(2);
        _exit(0);
    }
    close(t->fd);
    close(pipes[1]);
    waitpid(pid, NULL, 0);
    said("all done", read(pipes[0], &byte, 1));
    close(pipes[0]);
}

/* A daemon goes on with what the program had; it ends when the pipe does. */
void op_daemon(struct talk *t)
{
    int pipes[2];
    char byte;

    said("pipe", pipe(pipes));
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        if (daemon(1, 1) != 0)
            said("daemon", -1);
        talk_end(t);
        talk_whole(2);
        exit(0);
    }
    close(t->fd);
    close(pipes[1]);
    said("all done", read(pipes[0], &byte, 1));
    say_child("child", pid);
    close(pipes[0]);
}

static void give(int over, int fd)
{
    char control[CMSG_SPACE(sizeof fd)] = { 0 };
    char byte = 0;
    struct iovec part = { &byte, 1 };
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    said("given", sendmsg(over, &m, 0));
}

static int get(int over)
{
    char control[100], byte;
    struct iovec part = { &byte, 1 };
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    int fd = -1;

    if (recvmsg(over, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

/* To a process that was there before the connection. */
void op_rights(struct talk *unused)
{
    struct talk t;
    int pair[2], back[2];

    said("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    said("pipe", pipe(back));
    pid_t pid = fork();
    if (pid == 0) {
        int fd = get(pair[1]);
        if (read(pair[1], &t, sizeof t) != sizeof t)
            _exit(1);
        t.io = &io_libc;
        t.fd = fd;
        talk_end(&t);
        _exit(0);
    }
    close(unused->fd);
    talk_init(&t);
    talk_reach(&t, run.state);
    give(pair[0], t.fd);
    said("close", close(t.fd));
    if (write(pair[0], &t, sizeof t) != sizeof t)
        said("write", -1);
    say_child("child", pid);
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(back[i]);
    }
}

void op_rights_self(struct talk *t)
{
    int pair[2];

    said("pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    give(pair[0], t->fd);
    int fd = get(pair[1]);
    said("another number", fd != t->fd);
    said("close", close(t->fd));
    t->fd = fd;
    talk_end(t);
    close(pair[0]);
    close(pair[1]);
}
