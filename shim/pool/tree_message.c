/* SPDX-License-Identifier: ISC */
#include "pool/tree_message.h"

#include "pool/beside.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

enum { PROVEN = 1, NONBLOCKING = 2, ABSOLUTE = 4, AFTER_BODY = 8, ALL_FLAGS = 15 };
enum { DAY_MS = 86400000, CLOCKS_DIFFER_MS = 1000 };

_Static_assert(sizeof(struct tree_message) ==
                   offsetof(struct tree_message, local) + sizeof(struct sockaddr_storage) &&
                   offsetof(struct tree_message, local) == 120,
               "padding would be sent");

void tree_message_write(struct tree_message *m, const struct endpoint *to, const struct idle *idle)
{
    *m = (struct tree_message){
        .magic = TREE_MESSAGE_MAGIC,
        .size = sizeof *m,
        .idle_ms = idle->idle_ms,
        .to = *to,
        .parked_ms = idle->parked_ms,
        .opened_ms = idle->opened_ms,
        .host = idle->host,
        .proxy_auth = idle->proxy_auth,
        .cookie = idle->cookie,
        .max_left = idle->max_left,
        .requests = idle->requests,
        .flags = (uint8_t)((idle->proven ? PROVEN : 0) | (idle->nonblocking ? NONBLOCKING : 0) |
                           (idle->absolute ? ABSOLUTE : 0) | (idle->after_body ? AFTER_BODY : 0)),
    };
    memcpy(&m->local, &idle->local, sizeof idle->local);
}

static bool is_sane(const struct tree_message *m, uint64_t now_ms)
{
    bool family = m->to.family == AF_INET || m->to.family == AF_INET6;
    bool local = m->local.ss_family == 0 || m->local.ss_family == m->to.family;

    return family && local && m->to.port && m->cookie && m->idle_ms && m->idle_ms <= DAY_MS &&
           m->max_left >= -1 && m->max_left != 0 && m->requests && m->flags & NONBLOCKING && !(m->flags & ~ALL_FLAGS) &&
           !m->zero[0] && m->parked_ms <= now_ms + CLOCKS_DIFFER_MS && m->opened_ms <= m->parked_ms;
}

int tree_message_read(const void *bytes, size_t len, uint64_t now_ms, struct endpoint *to,
                      struct idle *idle)
{
    struct tree_message m;

    if (len != sizeof m)
        return -EBADMSG;
    memcpy(&m, bytes, sizeof m);
    if (m.magic != TREE_MESSAGE_MAGIC || m.size != sizeof m || !is_sane(&m, now_ms))
        return -EBADMSG;
    *to = m.to;
    *idle = (struct idle){
        .fd = -1,
        .proven = m.flags & PROVEN,
        .nonblocking = m.flags & NONBLOCKING,
        .absolute = m.flags & ABSOLUTE,
        .after_body = m.flags & AFTER_BODY,
        .requests = m.requests,
        .max_left = m.max_left,
        .idle_ms = m.idle_ms,
        .parked_ms = m.parked_ms,
        .opened_ms = m.opened_ms,
        .host = m.host,
        .proxy_auth = m.proxy_auth,
        .cookie = m.cookie,
    };
    memcpy(&idle->local, &m.local, sizeof idle->local);
    return 0;
}

/* Before anybody else can have the connection: a thread of the program that reads from the number which the kernel
 * gave it, one that another thread has closed, takes bytes that are somebody's as soon as somebody asks there. */
static int hide(const struct tree_calls *calls, struct beside *beside)
{
    int hidden = calls->hide ? calls->hide(beside->fds[0]) : beside->fds[0];

    if (hidden < 0) {
        calls->shutdown(beside->fds[0], SHUT_RDWR);
        return -EMFILE;
    }
    beside->fds[0] = hidden;
    return 0;
}

int tree_receive(const struct tree_calls *calls, int fd, struct tree_message *message, struct endpoint *to,
                 struct idle *idle, uint64_t now_ms)
{
    enum { ROOM = 2 }; /* we send one */
    struct beside beside;
    ssize_t len = beside_receive(calls, fd, message, sizeof *message, ROOM, &beside);

    if (len < 0)
        return (int)len;
    bool whole = beside.whole && beside.ours && beside.count == 1;
    int result = whole ? tree_message_read(message, (size_t)len, now_ms, to, idle) : -EBADMSG;
    if (result == 0)
        result = hide(calls, &beside);
    if (result == 0)
        idle->fd = beside.fds[0];
    else
        beside_close(calls, &beside);
    return result;
}

int tree_peek(const struct tree_calls *calls, int fd, struct endpoint *to, struct idle *idle, uint64_t now_ms)
{
    struct tree_message message;
    bool ours;
    ssize_t len = beside_peek(calls, fd, &message, sizeof message, &ours);

    if (len < 0)
        return (int)len;
    return ours ? tree_message_read(&message, (size_t)len, now_ms, to, idle) : -EPERM;
}
