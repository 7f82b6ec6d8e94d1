/* SPDX-License-Identifier: ISC */
/* What a socket says once the server has ended the connection and everything was read. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/older_libc.h"

#include "prober.h"

const char *error_name(int error)
{
    const char *name = error == 0 ? "0" : strerrorname_np(error);

    return name != NULL ? name : "?";
}

void name_of(int fd, bool peer, char *text, size_t size)
{
    struct sockaddr_in6 a = { 0 };
    struct sockaddr_in *four = (struct sockaddr_in *)&a;
    socklen_t length = sizeof(a);
    char host[INET6_ADDRSTRLEN] = "";
    int got = peer ? getpeername(fd, (struct sockaddr *)&a, &length)
                   : getsockname(fd, (struct sockaddr *)&a, &length);

    if (got < 0)
        snprintf(text, size, "%s", error_name(errno));
    else if (a.sin6_family == AF_INET)
        snprintf(text, size, "4/%d/%s/%d", (int)length,
                 inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host)), ntohs(four->sin_port));
    else
        snprintf(text, size, "6/%d/%s/%d", (int)length, inet_ntop(AF_INET6, &a.sin6_addr, host, sizeof(host)),
                 ntohs(a.sin6_port));
}

static void print_events(FILE *out, const char *what, unsigned events)
{
    /* poll and epoll use the same numbers for these */
    fprintf(out, " %s%s%s%s%s%s", what, events & POLLIN ? " IN" : "", events & POLLOUT ? " OUT" : "",
            events & POLLRDHUP ? " RDHUP" : "", events & POLLHUP ? " HUP" : "",
            events & POLLERR ? " ERR" : "");
}

static void print_reads(struct exchange *x)
{
    char byte[16];

    fprintf(x->out, "after: reads");
    for (int i = 0; i < 3; i++) {
        ssize_t got = i == 2 ? recv(x->fd, byte, sizeof(byte), MSG_PEEK) : read(x->fd, byte, sizeof(byte));

        fprintf(x->out, " %s", got < 0 ? error_name(errno) : got == 0 ? "0" : "BYTES");
    }
}

static void print_readiness(struct exchange *x)
{
    struct pollfd p = { .fd = x->fd, .events = POLLIN | POLLOUT | POLLRDHUP };
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP };
    struct timeval now = { 0 };
    fd_set in, out;
    int set = epoll_create1(0);

    poll(&p, 1, 0);
    print_events(x->out, "poll", (unsigned)p.revents);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(x->fd, &in);
    FD_SET(x->fd, &out);
    select(x->fd + 1, &in, &out, NULL, &now);
    fprintf(x->out, " select%s%s", FD_ISSET(x->fd, &in) ? " r" : "", FD_ISSET(x->fd, &out) ? " w" : "");
    if (epoll_ctl(set, EPOLL_CTL_ADD, x->fd, &e) < 0)
        fprintf(x->out, " ADD %s", error_name(errno));
    e.events = 0;
    epoll_wait(set, &e, 1, 0);
    print_events(x->out, "epoll", e.events);
    close(set);
}

static void print_names(struct exchange *x)
{
    char name[64];
    struct sockaddr_in6 peer;
    socklen_t size = sizeof(peer);
    int error = -1, there = -1;

    name_of(x->fd, true, name, sizeof(name));
    fprintf(x->out, " peer %s", name);
    name_of(x->fd, false, name, sizeof(name));
    fprintf(x->out, " own %s", strcmp(name, x->name_after_send) == 0 ? "same" : name);
    /* a non-blocking socket that never asked by connect would still be told 0, once */
    if ((settings.blocking || settings.ask == ASK_CONNECT || settings.ask == ASK_BOTH) &&
        getpeername(x->fd, (struct sockaddr *)&peer, &size) == 0)
        fprintf(x->out, " connect %s",
                connect(x->fd, (struct sockaddr *)&peer, size) < 0 ? error_name(errno) : "0");
    size = sizeof(error);
    getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    ioctl(x->fd, FIONREAD, &there);
    fprintf(x->out, " so_error %s fionread %d\n", error_name(error), there);
}

void after_print(struct exchange *x)
{
    print_reads(x);
    print_readiness(x);
    print_names(x);
}
