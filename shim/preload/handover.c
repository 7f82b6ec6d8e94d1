#define _GNU_SOURCE
#include "preload/handover.h"

#include "base/program.h"
#include "base/quiet.h"
#include "base/version.h"
#include "preload/owed.h"
#include "preload/hook.h"
#include "preload/idle.h"
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

enum { FDS_SEEN = 256 }; /* higher numbers are not looked at for inherited sockets */

/* One conn; the held bytes of both directions follow. */
struct parcel {
    uint32_t size; /* of this struct: another build is not read */
    int number;    /* that leads to the socket, as far as is known; or -1 */
    uint64_t cookie;
    bool nonblocking, reused, tail, tail_ends, head_owed, write_shut, response_raw, replayed;
    int pending_error;
    struct exchange x;
    struct endpoint to;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    struct idle idle;
    size_t request_start, request_len, response_len;
};

/* While packing: on the stack of this thread, since a vfork child runs in the memory of its parent. */
struct packing {
    bool any;        /* every exchange, whether an fd of it is inherited or not */
    bool hopeless;   /* nobody will unpack */
    int first;       /* the first number that a parcel is about */
    uint64_t cookies[FDS_SEEN]; /* of the sockets that are inherited, by number; 0: none */
    bool unknown[FDS_SEEN];     /* could not be asked */
};
static __thread struct packing *packing;
static __thread int memfd;

static bool put(const char *bytes, size_t len)
{
    struct quiet quiet;

    while (len) {
        quiet_begin(&quiet);
        ssize_t n = real.write(memfd, bytes, len);
        quiet_end(&quiet, n < 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* False: there is no such parcel. */
static bool write_parcel(const struct conn *c, int number)
{
    struct parcel p = { .size = sizeof p, .number = number, .cookie = c->idle.cookie };

    if (packing->hopeless || !p.cookie)
        return false;
    if (memfd < 0)
        memfd = memfd_create(MEMFD_NAME, 0);
    if (memfd < 0)
        return false;
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
    memcpy(&p.peer, &c->peer, sizeof c->peer);
    p.peer_len = c->peer_len;
    p.idle = c->idle;
    p.request_start = c->request.start;
    p.request_len = c->request.end;
    p.response_len = hold_len(&c->response);
    off_t before = lseek(memfd, 0, SEEK_CUR);
    if (put((const char *)&p, sizeof p) && put(c->request.data, p.request_len) &&
        put(p.response_len ? c->response.data + c->response.start : NULL, p.response_len))
        return true;
    if (before < 0 || ftruncate(memfd, before) != 0) { /* then none */
        real.close(memfd);
        memfd = -1;
    }
    return false;
}

static int inherited_number(const struct conn *c)
{
    for (int fd = 0; fd < FDS_SEEN; fd++)
        if (packing->cookies[fd] && packing->cookies[fd] == c->idle.cookie)
            return fd;
    for (int i = 0; i < c->nfds; i++)
        if (c->fds[i].fd < FDS_SEEN && !c->fds[i].cloexec && (packing->unknown[c->fds[i].fd] || !c->idle.cookie))
            return c->fds[i].fd;
    return -1;
}

static void pack(struct conn *c)
{
    int fd = inherited_number(c);

    if (c->state == CONN_ENDED || c->state == CONN_NEW || (fd < 0 && !packing->any))
        return;
    if (fd >= 0)
        idle_crossed_fork(c);
    if (c->state != CONN_EXCHANGE)
        return;
    if (write_parcel(c, fd)) {
        packing->first = packing->first >= 0 ? packing->first : fd;
        return;
    }
    if (fd >= 0 && exchange_request_done(&c->x) && !c->head_owed)
        real.shutdown(fd, SHUT_WR);
}

static void look_at_fds(void)
{
    for (int fd = 0; fd < FDS_SEEN; fd++) {
        errno = EBADF;
        int flags = private_is(fd) ? -1 : real.fcntl(fd, F_GETFD);
        packing->cookies[fd] = flags >= 0 && !(flags & FD_CLOEXEC) ? idle_cookie(fd) : 0;
        packing->unknown[fd] = !packing->cookies[fd] && !(flags >= 0 && flags & FD_CLOEXEC) && idle_unknown();
    }
}

static __thread bool in_use;

static void find_use(struct conn *c)
{
    in_use |= c->state != CONN_NEW && c->state != CONN_ENDED && c->nfds;
}

bool handover_preloads(char *const *env)
{
    for (; env && *env; env++)
        if (strncmp(*env, "LD_PRELOAD=", 11) == 0 && strstr(*env, "libholdfast"))
            return true;
    return false;
}

size_t handover_entries(char *const *env)
{
    size_t n = 0;

    while (env && env[n])
        n++;
    return n + 2;
}

char *const *handover_pack(const char *path, char *const *env, char **room, bool rearranged)
{
    static __thread char text[32];
    size_t n = handover_entries(env) - 2;
    struct packing here = { .any = rearranged, .first = -1 };
    int saved = errno;

    memfd = -1;
    in_use = false;
    if (process_active)
        conn_each(find_use);
    if (process_active && process_is_ours())
        conn_each(spare_settle);
    if (process_active && process_is_ours())
        owed_settle_all();
    if (!in_use)
        return env;
    if (process_is_ours())
        conn_each(idle_identify);
    packing = &here;
    packing->hopeless = !handover_preloads(env) || program_is_static(path);
    look_at_fds();
    conn_each(pack);
    packing = NULL;
    errno = saved;
    if (memfd < 0)
        return env;
    if (n)
        memcpy(room, env, n * sizeof *room);
    snprintf(text, sizeof text, VARIABLE "=%d,%d", memfd, here.first);
    room[n] = text;
    room[n + 1] = NULL;
    return room;
}

void handover_done(char *const *packed, char *const *env)
{
    if (packed != env)
        real.close(memfd);
}

/* From the beginning on: the offset is shared with whoever has written it. */
struct reading {
    int fd;
    off_t at;
};

static bool take(struct reading *r, char *bytes, size_t len)
{
    while (len) {
        ssize_t n = pread(r->fd, bytes, len, r->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
        r->at += n;
    }
    return true;
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
    uint64_t cookie = idle_cookie(fd);

    return cookie ? cookie == p->cookie : idle_unknown() && fd == p->number;
}

/* The numbers that lead to the parcel's socket here. */
static struct conn *find_socket(const struct parcel *p)
{
    struct conn *c = NULL;

    for (int fd = 0; fd < FDS_SEEN; fd++) {
        if (!leads_to(fd, p))
            continue;
        if (!c && !(c = conn_create(fd, false))) {
            real.shutdown(fd, SHUT_WR); /* the response as it comes, but with an end */
            return NULL;
        }
        if (c->fds[0].fd != fd)
            conn_add_fd(c, fd, false);
    }
    return c;
}

/* The socket is used by other processes, too: it will end by a shutdown and never be pooled. */
static void adopt(struct conn *c, const struct parcel *p)
{
    conn_set_state(c, CONN_FRESH);
    conn_set_state(c, CONN_EXCHANGE);
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
    memcpy(&c->peer, &p->peer, sizeof c->peer);
    c->peer_len = p->peer_len;
    c->idle = p->idle;
    c->shared = true;
    conn_spoil(c, REASON_crossed_fork);
}

/* The next parcel; false: no more, or not to be read. */
static bool unpack(struct reading *r)
{
    struct parcel p;
    struct hold request = { 0 }, response = { 0 };

    if (!take(r, (char *)&p, sizeof p) || p.size != sizeof p)
        return false;
    struct conn *c = find_socket(&p);
    if (!take_hold(r, &request, p.request_len) || !take_hold(r, &response, p.response_len)) {
        if (c) { /* without what was held of it, it has to end */
            real.shutdown(c->fds[0].fd, p.response_len ? SHUT_RDWR : SHUT_WR);
            conn_forget(c, REASON_no_memory);
        }
        return false;
    }
    if (!c) {
        hold_clear(&request);
        hold_clear(&response);
        return true;
    }
    adopt(c, &p);
    c->request = request;
    c->request.start = p.request_start;
    c->response = response;
    return true;
}

/* Only what we have made ourselves: a memfd of our name and version; where there is no /proc, a memfd. */
static bool is_ours(int fd)
{
    char path[40], target[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        return real.fcntl(fd, F_GET_SEALS) >= 0;
    target[len] = '\0';
    return strcmp(target, "/memfd:" MEMFD_NAME " (deleted)") == 0;
}

void handover_unpack(void)
{
    const char *value = getenv(VARIABLE);

    if (!value)
        return;
    const char *second = strchr(value, ',');
    int fd = atoi(value), first = second ? atoi(second + 1) : -1;
    unsetenv(VARIABLE);
    if (fd <= 2 || !is_ours(fd))
        return;
    struct reading from = { .fd = fd };
    while (unpack(&from))
        ;
    if (from.at == 0 && first >= 0) /* nothing to be read: the response as it comes, but with an end */
        real.shutdown(first, SHUT_WR);
    real.close(fd);
    if (conn_find(0))
        hook_stdio_take_stdin();
}
