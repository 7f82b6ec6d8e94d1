/* SPDX-License-Identifier: ISC */
/* secure: what libholdfast.so does for libholdfast-tls.so: sockets, idle connections, and what is known of servers.  The
 * one speaks TLS and follows the plain bytes (http/exchange.h); the other never sees one.  Both are of the same release, or
 * neither uses the other.
 *
 * Each function takes the client's fd; none is called with a lock held.  errno is left alone but where it is said. */
#ifndef HOLDFAST_BASE_SECURE_H
#define HOLDFAST_BASE_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;

/* What lies under a client's fd before its handshake. */
enum secure_found {
    SECURE_NOTHING, /* nothing that can be followed: the client is left alone */
    SECURE_OWN,     /* a connection of its own, or one will be put there by `own` */
    SECURE_IDLE,    /* an idle connection on which TLS was spoken */
};

/* What becomes of a request. */
enum secure_request {
    SECURE_ADAPT,   /* it is adapted, and goes out here */
    SECURE_PASS,    /* it goes out here as it is, and the connection is not kept */
    SECURE_REPLACE, /* it wants a connection of its own: `replace`, then ask again */
};

/* What is called of libholdfast-tls.so, from any thread, in any context, with locks held. */
struct secure_kept {
    void (*hold)(void *kept);   /* one more uses it */
    void (*forget)(void *kept); /* its connection is idle no more, and nobody has taken it */
};

struct secure_services {
    const char *version; /* HOLDFAST_VERSION */

    /* Once, before anything else: may TLS connections be used again in this process? */
    bool (*begin)(const struct secure_kept *calls);

    /* IDLE: *kept is what speaks TLS on the idle one, and was held for the caller. */
    enum secure_found (*find)(int fd, void **kept);

    /* Who has a transport of its own between TLS and its socket is known by what it sends: what this thread sends next on a
     * connection that `find` would find, and that does not block, is kept back if it is all of those bytes, and said to
     * have gone out.  `expected` ends that: the fd, or -1 if nothing was kept back. */
    void (*expect)(const void *bytes, size_t len);
    int (*expected)(void);

    /* `find` gave `kept`: the client uses it, and it is the pool's no more.  False: it is not alive, or not there any
     * more: `own`. */
    bool (*take)(int fd, void *kept);

    /* The client makes a handshake of its own: the connection is its own, and its bytes pass.  0; -errno, which the client
     * has to be told; -ENOTSUP: it is left alone. */
    int (*own)(int fd);

    /* A head was recognised, and nothing of it has gone out. */
    enum secure_request (*request)(int fd, const struct exchange *x);

    /* What the client has written is no request that could be adapted: all passes from here on. */
    void (*pass)(int fd);

    /* Taken, and nothing of an answer has come: another connection takes its place, the client's own.  0 or -errno. */
    int (*replace)(int fd);

    /* The head of the answer is whole. */
    void (*answered)(int fd, const struct exchange *x);

    /* The response is complete, and the client sees an end of file.  `kept`, or NULL, is the pool's from here on, to be lent
     * to who negotiates what `key` is a hash of. */
    void (*end)(int fd, const struct exchange *x, uint64_t key, void *kept);

    /* An HTTP/1.0 request that went out as it was has got an answer of HTTP/1.1. */
    void (*speaks11)(int fd);
};

/* Exported by libholdfast.so. */
extern const struct secure_services holdfast_secure;

#endif
