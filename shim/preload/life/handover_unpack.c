/* SPDX-License-Identifier: ISC */
/* The new program's side of a handover, in its constructor. */
#define _GNU_SOURCE
#include "preload/life/handover.h"

#include "base/kernel.h"
#include "base/number.h"
#include "preload/life/handover_parcel.h"
#include "preload/conn/conn.h"
#include "preload/libc/real.h"
#include "preload/self/env.h"
#include "preload/fds/socket.h"
#include "preload/conn/withheld.h"
#include "preload/fds/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From the beginning on: the offset is shared with whoever has written it. */
struct reading {
    int fd;
    off_t at;
};

static ssize_t take_some(void *reading, char *bytes, size_t len)
{
    struct reading *r = reading;
    ssize_t n = pread(r->fd, bytes, len, r->at);

    r->at += n > 0 ? n : 0;
    return n;
}

static bool take(struct reading *r, char *bytes, size_t len)
{
    return parcel_move(take_some, r, bytes, len);
}

static bool take_hold(struct reading *r, struct hold *hold, size_t len)
{
    if (len == 0)
        return true;
    if (!hold_reserve(hold, len) || !take(r, hold->data, len))
        return false;
    hold->end = len;
    return true;
}

static bool leads_to(int fd, const struct parcel *p)
{
    errno = 0;
    uint64_t cookie = socket_cookie(fd);

    return cookie ? cookie == p->cookie : socket_cookie_unknown() && fd == p->number;
}

/* The numbers that lead to the parcel's socket here. */
static struct conn *find_socket(const struct parcel *p)
{
    struct conn *c = NULL;

    for (int fd = 0; fd < FDS_SEEN; fd++) {
        if (!leads_to(fd, p))
            continue;
        if (!c && !(c = conn_create(fd, false, CONN_NEW))) {
            real.shutdown(fd, SHUT_WR); /* the response as it comes, but with an end */
            return NULL;
        }
        if (c->fds.numbers[0].fd != fd)
            conn_add_fd(c, fd, false);
    }
    return c;
}

/* The socket is used by other processes, too: it will end by a shutdown and never be pooled. */
static void adopt(struct conn *c, const struct parcel *p, struct hold request, struct hold response)
{
    c->nonblocking = p->nonblocking; /* the states look at it */
    conn_set_state(c, CONN_NEW_TOUCHED);
    conn_set_state(c, CONN_FRESH);
    if (p->state == CONN_ENDED)
        conn_set_state(c, CONN_EXCHANGE);
    conn_set_state(c, p->state);
    c->reused = p->reused;
    c->request = p->request;
    c->request.bytes = request;
    c->request.bytes.start = p->request.bytes.start;
    c->request.rest = c->request.behind = (struct hold){ .data = NULL };
    c->request.withheld_ms = 0;
    c->reply = p->reply;
    c->reply.bytes = response;
    c->reply.first = NULL;
    c->after = p->after;
    c->x = p->x;
    c->to = p->to;
    memcpy(&c->peer, &p->peer, sizeof c->peer);
    c->peer_len = p->peer_len;
    c->idle = p->idle;
    c->copied = true;
    conn_forbid_parking(c, REASON_crossed_fork);
    if (p->request.withheld_ms)
        withheld_begin(c);
}

/* The next parcel; false: no more, or not to be read. */
static bool unpack(struct reading *r)
{
    struct parcel p;
    struct hold request = { 0 }, response = { 0 };

    if (!take(r, (char *)&p, sizeof p) || p.size != sizeof p)
        return false;
    struct conn *c = find_socket(&p);
    if (!take_hold(r, &request, p.request.bytes.end) || !take_hold(r, &response, p.response_len)) {
        if (c) { /* without what was held of it, it has to end */
            real.shutdown(c->fds.numbers[0].fd, p.response_len ? SHUT_RDWR : SHUT_WR);
            conn_bypass(c, REASON_no_memory);
        }
        return false;
    }
    if (!c) {
        hold_clear(&request);
        hold_clear(&response);
        return true;
    }
    adopt(c, &p, request, response);
    return true;
}

/* Only what we have made ourselves: a memfd of our name and version; where there is no /proc, a memfd. */
static bool is_ours(int fd)
{
    char path[40], target[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        return kernel_seals(fd) >= 0;
    target[len] = '\0';
    return strcmp(target, "/memfd:" HANDOVER_MEMFD " (deleted)") == 0;
}

/* The memfd, close-on-exec or to be closed; -1: there is none of ours. */
static int open_memfd(int number, int keeper)
{
    char path[48];

    if (number <= STDERR_FILENO)
        return -1;
    if (keeper > 0) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", keeper, number);
        number = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    if (number < 0 || is_ours(number))
        return number;
    if (keeper > 0)
        real.close(number);
    return -1;
}

void handover_unpack(void)
{
    const char *value = env_get(HANDOVER_VARIABLE);
    int number = -1, first = -1, keeper = 0;

    if (!value)
        return;
    if (number_take_int(&value, &number) && *value++ == ',' && number_take_int(&value, &first) && *value++ == ',')
        number_take_int(&value, &keeper);
    unsetenv(HANDOVER_VARIABLE);
    int fd = open_memfd(number, keeper);
    if (fd < 0)
        return;
    struct reading from = { .fd = fd };
    while (unpack(&from))
        ;
    if (from.at == 0 && first >= 0) /* nothing to be read: the response as it comes, but with an end */
        real.shutdown(first, SHUT_WR);
    real.close(fd);
}
