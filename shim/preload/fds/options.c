/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/fds/options.h"

#include "base/block.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

struct known {
    int level, name;
    bool lasting;
};

/* Options whose whole meaning is their value.  SO_RCVLOWAT, TCP_FASTOPEN_CONNECT, IP_TRANSPARENT,
 * filters, TCP_ULP and whatever is not listed: the socket is left alone. */
static const struct known known[] = {
    { SOL_SOCKET, SO_KEEPALIVE, false },
    { SOL_SOCKET, SO_REUSEADDR, false },
    { SOL_SOCKET, SO_REUSEPORT, false },
    { SOL_SOCKET, SO_LINGER, false },
    { SOL_SOCKET, SO_PRIORITY, false },
    { SOL_SOCKET, SO_OOBINLINE, false },
    { SOL_SOCKET, SO_DONTROUTE, false },
    { SOL_SOCKET, SO_MARK, false },
    { SOL_SOCKET, SO_RCVTIMEO, false },
    { SOL_SOCKET, SO_SNDTIMEO, false },
#if !defined __LP64__ && defined SO_RCVTIMEO_NEW /* with 64-bit times */
    { SOL_SOCKET, SO_RCVTIMEO_NEW, false },
    { SOL_SOCKET, SO_SNDTIMEO_NEW, false },
#endif
    { SOL_SOCKET, SO_SNDBUF, true },
    { SOL_SOCKET, SO_RCVBUF, true },
    { SOL_SOCKET, SO_BINDTODEVICE, true },
    { IPPROTO_TCP, TCP_NODELAY, false },
    { IPPROTO_TCP, TCP_CORK, false },
    { IPPROTO_TCP, TCP_KEEPIDLE, false },
    { IPPROTO_TCP, TCP_KEEPINTVL, false },
    { IPPROTO_TCP, TCP_KEEPCNT, false },
    { IPPROTO_TCP, TCP_USER_TIMEOUT, false },
    { IPPROTO_TCP, TCP_QUICKACK, true },
    { IPPROTO_TCP, TCP_SYNCNT, false },
    { IPPROTO_TCP, TCP_MAXSEG, true },
    { IPPROTO_TCP, TCP_NOTSENT_LOWAT, false },
    { IPPROTO_TCP, TCP_CONGESTION, true },
    { IPPROTO_IP, IP_TOS, false },
    { IPPROTO_IP, IP_TTL, false },
    { IPPROTO_IP, IP_MTU_DISCOVER, false },
    { IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, true },
    { IPPROTO_IPV6, IPV6_V6ONLY, true },
    { IPPROTO_IPV6, IPV6_TCLASS, false },
    { IPPROTO_IPV6, IPV6_UNICAST_HOPS, false },
};

static const struct known *lookup(int level, int name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].level == level && known[i].name == name)
            return &known[i];
    return NULL;
}

enum options_verdict options_judge(int level, int name, const void *value, socklen_t len)
{
    const struct known *k = lookup(level, name);

    if (!k || !value || len > OPTION_SIZE)
        return OPTIONS_FOREIGN;
    return k->lasting ? OPTIONS_LASTING : OPTIONS_FINE;
}

static bool is_switch(int level, int name)
{
    return (level == SOL_SOCKET && (name == SO_KEEPALIVE || name == SO_REUSEADDR || name == SO_OOBINLINE)) ||
           (level == IPPROTO_TCP && (name == TCP_NODELAY || name == TCP_CORK || name == TCP_QUICKACK));
}

/* What programs set before they close. */
bool options_reads_back(int level, int name, const void *value, socklen_t len)
{
    enum { HOUR = 3600 };
    union {
        int on;
        struct linger linger;
        struct timeval time;
    } is;

    if (!value || len > sizeof is)
        return false;
    memcpy(&is, value, len);
    if (is_switch(level, name))
        return len == sizeof is.on && (is.on == 0 || is.on == 1);
    if (level != SOL_SOCKET)
        return false;
    if (name == SO_LINGER)
        return len == sizeof is.linger && is.linger.l_onoff == 1 && is.linger.l_linger >= 0 && is.linger.l_linger < HOUR;
#ifdef __LP64__
    if (name == SO_RCVTIMEO || name == SO_SNDTIMEO)
        return len == sizeof is.time && is.time.tv_sec >= 0 && is.time.tv_sec < HOUR && is.time.tv_usec == 0;
#endif
    return false;
}

static struct option *find(struct options *o, int level, int name)
{
    for (int i = 0; i < o->count; i++)
        if (o->set[i].level == level && o->set[i].name == name)
            return &o->set[i];
    return NULL;
}

/* Room for one more, or NULL. */
static struct option *add(struct options *o, int level, int name)
{
    if (o->count == OPTIONS_MAX || (!o->set && !(o->set = block_get(OPTIONS_MAX * sizeof *o->set, NULL))))
        return NULL;
    struct option *which = &o->set[o->count++];
    memset(which, 0, sizeof *which);
    which->level = level;
    which->name = name;
    return which;
}

bool options_is_nodelay(int level, int name)
{
    return level == IPPROTO_TCP && name == TCP_NODELAY;
}

bool options_nodelay(const struct options *o)
{
    int on = 0;
    socklen_t len = sizeof on;

    return options_recall(o, IPPROTO_TCP, TCP_NODELAY, &on, &len) && on;
}

static void set_nodelay(int fd, int on)
{
    int saved = errno;

    real.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    errno = saved;
}

void options_hasten(int fd)
{
    set_nodelay(fd, 1);
}

void options_slow(const struct options *o, int fd)
{
    if (!options_nodelay(o))
        set_nodelay(fd, 0);
}

void options_clear(struct options *o)
{
    enum { CAP = 1024 };
    _Static_assert(OPTIONS_MAX * sizeof *o->set <= CAP && OPTIONS_MAX * sizeof *o->set > CAP / 2, "block_get's size");

    if (o->set)
        block_put(o->set, CAP);
    memset(o, 0, sizeof *o);
}

bool options_note(struct options *o, int level, int name, const void *value, socklen_t len,
                  const char *old, socklen_t old_len)
{
    struct option *which = find(o, level, name);

    if (!which && !(which = add(o, level, name)))
        return false;
    if (old_len && !which->old_len) {
        memcpy(which->old, old, old_len);
        which->old_len = (uint8_t)old_len;
    }
    memset(which->value, 0, sizeof which->value);
    memcpy(which->value, value, len);
    which->len = (uint8_t)len;
    return true;
}

bool options_recall(const struct options *o, int level, int name, void *value, socklen_t *len)
{
    for (int i = 0; i < o->count; i++) {
        const struct option *which = &o->set[i];
        if (which->level != level || which->name != name)
            continue;
        if (*len > which->len)
            *len = which->len;
        memcpy(value, which->value, *len);
        return true;
    }
    return false;
}

static uint64_t mix(uint64_t h, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

/* A sum, so that the order in which they were set does not matter. */
uint64_t options_hash(const struct options *o)
{
    uint64_t sum = 0;

    if (o->bound)
        sum += mix(0xcbf29ce484222325u, &o->bound_to, o->bound_len);
    for (int i = 0; i < o->count; i++) {
        uint64_t h = mix(0xcbf29ce484222325u, &o->set[i].level, sizeof(int));
        h = mix(h, &o->set[i].name, sizeof(int));
        sum += mix(h, o->set[i].value, o->set[i].len);
    }
    return sum;
}

int options_apply(const struct options *o, int fd)
{
    for (int i = 0; i < o->count; i++) {
        const struct option *which = &o->set[i];
        if (real.setsockopt(fd, which->level, which->name, which->value, which->len) != 0)
            return -errno;
    }
    if (o->bound && real.bind(fd, (const struct sockaddr *)&o->bound_to, o->bound_len) != 0)
        return -errno;
    return 0;
}

bool options_undo(struct options *o, int fd)
{
    bool same = true;

    for (int i = 0; i < o->count; i++) {
        struct option *which = &o->set[i];
        if (which->old_len && !options_is_nodelay(which->level, which->name) &&
            real.setsockopt(fd, which->level, which->name, which->old, which->old_len) != 0)
            same = false;
    }
    return same;
}
