/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/handover.h"

#include "base/program.h"
#include "base/quiet.h"
#include "preload/conn/deferred.h"
#include "preload/life/handover_parcel.h"
#include "preload/life/room.h"
#include "preload/conn/conn.h"
#include "preload/fds/private.h"
#include "preload/self/env.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/fds/socket.h"
#include "preload/conn/parking.h"
#include "preload/conn/under.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT = 4 };

/* While packing: this thread's own, since a vfork child runs in the memory of its parent. */
struct packing {
    bool any;        /* every exchange, whether an fd of it is inherited or not */
    bool hopeless;   /* nobody will unpack */
    int first;       /* the first number that a parcel is about */
    uint64_t cookies[FDS_SEEN]; /* of the sockets that are inherited, by number; 0: none */
    bool unknown[FDS_SEEN];     /* could not be asked */
};
static __thread struct {
    struct packing *packing;
    int memfd;
    char text[64]; /* our variable: the memfd, the first number, who keeps the memfd */
    int first_number;
    bool in_use; /* there is a conn that a parcel may be about */
} thread;

static ssize_t put_some(void *fd, char *bytes, size_t len)
{
    struct quiet quiet;

    quiet_begin(&quiet);
    ssize_t n = real.write(*(const int *)fd, bytes, len);
    quiet_end(&quiet, n < 0);
    return n;
}

static bool put(const void *bytes, size_t len)
{
    return parcel_move(put_some, &thread.memfd, (char *)(uintptr_t)bytes, len);
}

/* What lies under the numbers. */
static uint64_t cookie_of(const struct conn *c)
{
    return conn_has_ended(c) && c->fds.count ? socket_cookie(c->fds.numbers[0].fd) : c->idle.cookie;
}

/* Is there anything that another program could not read from the socket itself? */
static bool has_ended_for_good(const struct conn *c)
{
    return conn_has_ended(c) && (hold_len(&c->reply.bytes) == 0 || c->fds.count == 0);
}

/* False: there is no such parcel. */
static bool write_parcel(const struct conn *c, int number)
{
    struct parcel p = { .size = sizeof p, .number = number, .cookie = cookie_of(c) };

    if (thread.packing->hopeless || !p.cookie)
        return false;
    if (thread.memfd < 0)
        thread.memfd = memfd_create(HANDOVER_MEMFD, MFD_CLOEXEC);
    if (thread.memfd < 0)
        return false;
    p.state = c->state;
    p.nonblocking = c->nonblocking;
    p.reused = c->reused;
    p.request = c->request;
    p.reply = c->reply;
    p.after = c->after;
    p.x = c->x;
    p.to = c->to;
    memcpy(&p.peer, &c->peer, sizeof c->peer);
    p.peer_len = c->peer_len;
    p.idle = c->idle;
    p.response_len = hold_len(&c->reply.bytes);
    off_t before = lseek(thread.memfd, 0, SEEK_CUR);
    if (put(&p, sizeof p) && put(c->request.bytes.data, c->request.bytes.end) &&
        put(p.response_len ? c->reply.bytes.data + c->reply.bytes.start : NULL, p.response_len))
        return true;
    if (before < 0 || ftruncate(thread.memfd, before) != 0) { /* then none */
        real.close(thread.memfd);
        thread.memfd = -1;
    }
    return false;
}

static int inherited_number(const struct conn *c)
{
    uint64_t cookie = cookie_of(c);

    for (int fd = 0; fd < FDS_SEEN; fd++)
        if (thread.packing->cookies[fd] && thread.packing->cookies[fd] == cookie)
            return fd;
    for (int i = 0; i < c->fds.count; i++)
        if (c->fds.numbers[i].fd < FDS_SEEN && !c->fds.numbers[i].cloexec &&
            (thread.packing->unknown[c->fds.numbers[i].fd] || !cookie))
            return c->fds.numbers[i].fd;
    return -1;
}

/* No parcel can be made of it: the server is asked to close after its response. */
static void ask_end(const struct conn *c, int fd)
{
    if (exchange_request_done(&c->x) && !conn_head_partly_sent(c))
        real.shutdown(fd, SHUT_WR);
}

static void pack(struct conn *c)
{
    if (has_ended_for_good(c) || conn_is_new(c))
        return;
    int fd = inherited_number(c);

    if (fd < 0 && !thread.packing->any)
        return;
    if (fd >= 0)
        parking_crossed_fork(c);
    if (!conn_is_exchange(c) && !conn_has_ended(c))
        return;
    if (write_parcel(c, fd)) {
        thread.packing->first = thread.packing->first >= 0 ? thread.packing->first : fd;
        return;
    }
    if (fd >= 0 && conn_is_exchange(c))
        ask_end(c, fd);
}

/* There is no memory to find out what is inherited: all may be. */
static void give_up(struct conn *c)
{
    if (!c->fds.count || !conn_is_exchange(c))
        return;
    parking_crossed_fork(c);
    ask_end(c, c->fds.numbers[0].fd);
}

static void look_at_fds(void)
{
    for (int fd = 0; fd < FDS_SEEN; fd++) {
        errno = EBADF;
        int flags = private_is(fd) ? -1 : real.fcntl(fd, F_GETFD);
        thread.packing->cookies[fd] = flags >= 0 && !(flags & FD_CLOEXEC) ? socket_cookie(fd) : 0;
        thread.packing->unknown[fd] = !thread.packing->cookies[fd] && !(flags >= 0 && flags & FD_CLOEXEC) && socket_cookie_unknown();
    }
}

static void find_use(struct conn *c)
{
    thread.in_use |= !conn_is_new(c) && !has_ended_for_good(c) && c->fds.count;
}

/* Of a locked conn.  The end of file that all share could not be told from another one. */
static bool part(struct conn *c, void *unused)
{
    (void)unused;
    if (c->state == CONN_ENDED && !c->copied && !has_ended_for_good(c))
        under_end_of_its_own(c);
    return false;
}

static void name_memfd(int number, int keeper)
{
    snprintf(thread.text, sizeof thread.text, HANDOVER_VARIABLE "=%d,%d,%d", number, thread.first_number, keeper);
}

char *const *handover_pack(const char *path, char *const *env, bool rearranged)
{
    int saved = errno;

    thread.memfd = -1;
    thread.in_use = false;
    if (self.active)
        conn_each(find_use);
    if (self.active && self_is_ours())
        conn_each(parking_make_ready);
    if (self.active && self_is_ours())
        deferred_apply_all();
    if (!thread.in_use)
        return env;
    if (self_is_ours()) {
        conn_each(parking_identify);
        conn_each_entered(true, part, NULL);
    }
    size_t n = env_entries(env) - 1;
    char **room = room_take((n + 2) * sizeof *room);
    thread.packing = room_take(sizeof *thread.packing);
    if (!thread.packing || !room) {
        thread.packing = NULL;
        conn_each(give_up);
        errno = saved;
        return env;
    }
    *thread.packing = (struct packing){ .any = rearranged, .first = -1,
                                        .hopeless = !env_preload(env).variable || program_is_static(path) };
    look_at_fds();
    conn_each(pack);
    thread.first_number = thread.packing->first;
    thread.packing = NULL;
    errno = saved;
    if (thread.memfd < 0)
        return env;
    if (n)
        memcpy(room, env, n * sizeof *room);
    name_memfd(thread.memfd, 0);
    room[n] = thread.text;
    room[n + 1] = NULL;
    return room;
}

/* A copy has no FD_CLOEXEC, where that cannot be cleared. */
void handover_inherit(char *const *packed, char *const *env)
{
    int saved = errno;

    if (packed != env && real.fcntl(thread.memfd, F_SETFD, (void *)0) != 0) {
        int copy = real.dup(thread.memfd);
        if (copy >= 0) {
            real.close(thread.memfd);
            thread.memfd = copy;
            name_memfd(copy, 0);
        }
    }
    errno = saved;
}

/* Those that children may still fetch; the next one closes the oldest. */
static void keep(int fd)
{
    static struct {
        _Atomic int fds[KEPT]; /* plus one; 0: none */
        atomic_uint next;
    } kept;
    unsigned slot = atomic_fetch_add(&kept.next, 1) % KEPT;

    private_close(atomic_exchange(&kept.fds[slot], fd + 1) - 1);
}

void handover_pass(char *const *packed, char *const *env)
{
    if (packed == env)
        return;
    int hidden = !self_alone() && self_is_ours() ? private_move(thread.memfd) : -1;
    if (hidden < 0) {
        handover_inherit(packed, env);
        return;
    }
    thread.memfd = -1;
    name_memfd(hidden, (int)getpid());
    keep(hidden);
}

void handover_done(char *const *packed, char *const *env)
{
    if (packed != env && thread.memfd >= 0)
        real.close(thread.memfd);
}
