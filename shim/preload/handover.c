#define _GNU_SOURCE
#include "preload/handover.h"

#include "base/block.h"
#include "base/version.h"
#include "preload/conn.h"
#include "preload/private.h"
#include "preload/process.h"
#include "preload/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VARIABLE "HOLDFAST_HANDOVER"
#define MEMFD_NAME "holdfast-" HOLDFAST_VERSION

/* One conn; the held bytes of both directions follow. */
struct parcel {
    uint32_t size; /* of this struct: another build is not read */
    int nfds;
    int fds[CONN_FDS];
    bool nonblocking, reused, tail, tail_ends, head_owed, write_shut, response_raw, replayed;
    int pending_error;
    struct exchange x;
    struct endpoint to;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    struct idle idle;
    size_t request_start, request_len, response_len;
};

static int parcels = -1; /* the memfd, while packing */

static bool put(const void *bytes, size_t len)
{
    return len == 0 || real.write(parcels, bytes, len) == (ssize_t)len;
}

static void pack(struct conn *c)
{
    struct parcel p = { .size = sizeof p };

    for (int i = 0; i < c->nfds; i++)
        if (!c->fds[i].cloexec)
            p.fds[p.nfds++] = c->fds[i].fd;
    if (c->state != CONN_EXCHANGE || p.nfds == 0)
        return;
    if (parcels < 0)
        parcels = memfd_create(MEMFD_NAME, 0);
    if (parcels < 0)
        return;
    p.nonblocking = c->nonblocking;
    p.reused = c->reused;
    p.tail = c->tail;
    p.tail_ends = c->tail_ends;
    p.head_owed = c->head_owed;
    p.write_shut = c->write_shut;
    p.response_raw = c->response_raw;
    p.replayed = c->replayed;
    p.pending_error = c->pending_error;
    p.x = c->x;
    p.to = c->to;
    p.peer = c->peer;
    p.peer_len = c->peer_len;
    p.idle = c->idle;
    p.request_start = c->request.start;
    p.request_len = c->request.end;
    p.response_len = hold_len(&c->response);
    put(&p, sizeof p);
    put(c->request.data, p.request_len);
    put(p.response_len ? c->response.data + c->response.start : NULL, p.response_len);
}

char *const *handover_pack(char *const *env)
{
    static char text[32];
    size_t n = 0;

    if (!process_active || !process_is_ours())
        return env;
    parcels = -1;
    conn_each(pack);
    if (parcels < 0)
        return env;
    while (env && env[n])
        n++;
    char **copy = block_get((n + 2) * sizeof *copy, NULL);
    if (!copy) {
        real.close(parcels);
        return env;
    }
    if (n)
        memcpy(copy, env, n * sizeof *copy);
    snprintf(text, sizeof text, VARIABLE "=%d", parcels);
    copy[n] = text;
    copy[n + 1] = NULL;
    return copy;
}

void handover_cancel(char *const *packed, char *const *env)
{
    size_t n = 0;

    if (packed == env)
        return;
    while (packed[n])
        n++;
    block_put((void *)(uintptr_t)packed, (n + 1) * sizeof *packed);
    real.close(parcels);
}

static bool take(int fd, void *bytes, size_t len)
{
    return len == 0 || real.read(fd, bytes, len) == (ssize_t)len;
}

static bool take_hold(int fd, struct hold *hold, size_t len)
{
    if (len == 0)
        return true;
    if (!hold_reserve(hold, len) || !take(fd, hold->data, len))
        return false;
    hold->end = len;
    return true;
}

/* The socket is used by other processes, too: it will end by a shutdown and never be pooled. */
static bool adopt(int fd, const struct parcel *p)
{
    struct conn *c = conn_create(p->fds[0], false);

    if (!c)
        return false;
    conn_set_state(c, CONN_FRESH);
    conn_set_state(c, CONN_EXCHANGE);
    for (int i = 1; i < p->nfds && i < CONN_FDS; i++)
        conn_add_fd(c, p->fds[i], false);
    c->nonblocking = p->nonblocking;
    c->reused = p->reused;
    c->tail = p->tail;
    c->tail_ends = p->tail_ends;
    c->head_owed = p->head_owed;
    c->write_shut = p->write_shut;
    c->response_raw = p->response_raw;
    c->replayed = p->replayed;
    c->pending_error = p->pending_error;
    c->x = p->x;
    c->to = p->to;
    c->peer = p->peer;
    c->peer_len = p->peer_len;
    c->idle = p->idle;
    c->shared = true;
    conn_spoil(c, REASON_crossed_fork);
    if (!take_hold(fd, &c->request, p->request_len) || !take_hold(fd, &c->response, p->response_len))
        return false;
    c->request.start = p->request_start;
    return true;
}

/* Only what we have made ourselves: a memfd of our name and version. */
static bool is_ours(int fd)
{
    char path[40], target[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        return false;
    target[len] = '\0';
    return strcmp(target, "/memfd:" MEMFD_NAME " (deleted)") == 0;
}

void handover_unpack(void)
{
    const char *value = getenv(VARIABLE);
    struct parcel p;

    if (!value)
        return;
    int fd = atoi(value);
    unsetenv(VARIABLE);
    if (fd <= 2 || !is_ours(fd))
        return;
    lseek(fd, 0, SEEK_SET);
    while (take(fd, &p, sizeof p) && p.size == sizeof p && p.nfds > 0 && adopt(fd, &p))
        ;
    real.close(fd);
}
