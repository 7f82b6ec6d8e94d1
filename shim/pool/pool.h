/* SPDX-License-Identifier: ISC */
/* pool: the idle connections of this process, by endpoint, most recently parked first.
 *
 * It owns the fds that it holds and nothing else; it makes no call on them but through the two
 * functions it was given, so it is tested without a socket.  One leaf lock; the functions given are
 * called outside of it.  Works from any thread; after fork the child calls pool_abandon first.
 * Memory comes from mmap in blocks and is never given back. */
#ifndef HOLDFAST_POOL_POOL_H
#define HOLDFAST_POOL_POOL_H

#include "base/reason.h"
#include "pool/endpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of an idle connection.  A plain value, moved in and out. */
struct idle {
    int fd;               /* a private fd, close-on-exec */
    bool proven;          /* the server said that it persists, or has answered twice on it */
    bool nonblocking;     /* O_NONBLOCK of its description */
    bool unseen;          /* leased without a look at it: see pool_lease */
    bool guarded;         /* its socket has TCP_USER_TIMEOUT: preload/conn/path.h */
    bool absolute;        /* was used with absolute-form targets: it leads to a proxy */
    bool after_body;      /* its last request had a body */
    uint16_t requests;    /* served on it so far */
    int32_t max_left;     /* further requests that the server's Keep-Alive allows, -1: no limit */
    uint32_t idle_ms;     /* may lie idle for so long */
    bool secured;         /* TLS is spoken on it: see `kept` */
    uint64_t opened_ms;   /* when it was connected: same clock */
    uint64_t parked_ms;   /* when it was parked: CLOCK_MONOTONIC (BOOTTIME better), set by pool_park */
    uint64_t host;        /* hash of the Host it served */
    union {
        uint64_t proxy_auth; /* hash of the Proxy-Authorization it carried */
        void *kept;       /* secured: what speaks TLS on it (base/secure.h); `host` is a hash of what it negotiated, so
                             that no plain request fits.  Never leaves the process */
    };
    uint64_t cookie;      /* SO_COOKIE: the fd is still the socket that was parked */
    union endpoint_name local; /* its own name, for clients that ask when it has ended */
};

/* What a lease wants: `any` before the request is known. */
struct wanted {
    bool any;
    bool absolute;
    uint64_t host, proxy_auth;
};

enum pool_health { POOL_ALIVE, POOL_STALE, POOL_POISONED, POOL_REPLACED };

struct pool_ops {
    enum pool_health (*probe)(const struct idle *idle); /* just before a lease; must not block */
    void (*discard)(const struct idle *idle, enum reason why); /* closes the fd, or forgets it if REPLACED */
    uint64_t (*now_ms)(void);
};

struct pool;

/* The process's only pool.  max_per_endpoint and max_total: idle connections; beyond, the oldest of
 * that endpoint, or of all, is discarded (REASON_pool_full). */
int pool_init(const struct pool_ops *ops, unsigned max_per_endpoint, unsigned max_total);

/* Until further notice none that has served so many requests, or is so old, is lent or parked
 * (REASON_max_requests, max_age); 0: no limit. */
void pool_limit_use(unsigned requests, uint64_t age_ms);

/* Leases an idle connection to `to`.  Returns 0 and moves it into *out (the caller owns
 * out->fd), or -ENOENT.  Dead and expired ones met on the way are discarded.  Never blocks.
 * One that is proven and was parked a moment ago is not probed where `wanted` is any: out->unseen.  The
 * caller has to look at it before it sends.
 * On -ENOENT *why says why nothing was found: pool_empty, other_host, other_form, or what was wrong
 * with the last one tried (stale, poisoned, expired, replaced, max_requests, max_age). */
int pool_lease(const struct endpoint *to, const struct wanted *wanted, struct idle *out,
               enum reason *why);

/* REASON_none, or why `idle` is not what is wanted: other_form, other_host. */
enum reason pool_mismatch(const struct idle *idle, const struct wanted *wanted);

/* Is a leased connection, wherever it comes from, still good?  REASON_none, or what pool_lease would have
 * said of it: the caller discards it then.  What is learned about the endpoint is remembered. */
enum reason pool_examine(const struct endpoint *to, const struct idle *idle);

/* Takes the oldest connection out of the pool, to be kept elsewhere; *to says whose it is.  0 or -ENOENT. */
int pool_take_any(struct endpoint *to, struct idle *out);

/* Discards all that leads to the place of `to` (pool/endpoint.h), as one_at_a_time; returns how many. */
unsigned pool_release_place(const struct endpoint *to);

/* Why a connection would not be parked whatever room there is: keepalive_spent, max_requests, max_age,
 * closer; or REASON_none. */
enum reason pool_refusal(const struct endpoint *to, const struct idle *idle);

/* Parks; the pool owns idle->fd from here on, whatever happens (it discards what it cannot keep).
 * Returns REASON_none, or why it was discarded at once: keepalive_spent (max_left or idle_ms is 0),
 * max_requests, max_age, closer, pool_full (a cap is 0), no_memory. */
enum reason pool_park(const struct endpoint *to, const struct idle *idle);

/* The server of this endpoint closed an idle connection, without having announced it, `idle_ms` after
 * it was parked.  If that was within 500 ms, nothing is parked there for a minute: silence was no
 * promise (uwsgi).  pool_lease does so by itself, and for a poisoned one however old it was. */
void pool_note_closed(const struct endpoint *to, uint64_t idle_ms);

/* Discards up to n of the oldest, whatever their endpoint (the program met EMFILE), as no_private_fd;
 * returns how many. */
unsigned pool_shed(unsigned n);

/* In the child of a fork, after the lock is free again: gives each fd to `each`, which
 * closes this process's copy; the pool is empty afterwards. */
void pool_abandon(void (*each)(const struct idle *idle));

/* Around a fork it is held: nobody is in the middle of a change while it happens (base/lock_order.h). */
struct lock;
extern struct lock pool_lock;

unsigned pool_count(void);

#endif
