/* SPDX-License-Identifier: ISC */
/* kept: the SSL object of an idle connection, or of one that is lent.  The pool, which holds its socket, has a reference, and
 * so has the client that uses it or used it last, until that client frees its own object: `busy`.  Only who found it not
 * busy may use it, so that one thread at a time does.
 *
 * Its keys stay where OpenSSL has them.  The child of a fork finds no idle connection in its pool, so it uses none of its
 * parent's keys. */
#ifndef HOLDFAST_TLS_KEPT_H
#define HOLDFAST_TLS_KEPT_H

#include "tls/bytes.h"
#include "tls/openssl.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { KEPT_MOST = 8 }; /* in a process: each keeps its SSL_CTX, with the certificates that it trusts */

struct kept {
    struct ssl *s;
    struct bytes key;
    pid_t pid;          /* who made it: nobody else uses its keys, whatever became of the memory */
    uint64_t host;      /* of the requests that it carried (struct request) */
    atomic_int references;
    atomic_bool busy;
    atomic_bool pooled; /* one of the references is the pool's */
    atomic_bool spoiled; /* somebody may have changed it: nobody uses it any more */
    struct kept *next;   /* to be freed */
};

/* Of an object whose response is complete: busy, with one reference, the client's.  NULL: too many, or no memory.  Takes
 * over the bytes of `key`. */
struct kept *kept_create(struct ssl *s, struct bytes *key);

/* One reference more, or less. */
void kept_hold(struct kept *kept);
void kept_put(struct kept *kept);

/* May `kept` be used by who negotiates `key`?  It is idle, whole, and this process's. */
bool kept_fits(const struct kept *kept, const struct bytes *key);

/* The pool gets a reference; or what it had is the caller's. */
void kept_to_pool(struct kept *kept);
void kept_from_pool(struct kept *kept);

/* Whoever uses it does so by the BIOs of `s`, and as its mode says. */
void kept_attach(struct kept *kept, struct ssl *s);

/* The client is done with it: it has no BIO any more. */
void kept_detach(struct kept *kept);

/* For the pool (base/secure.h).  What it forgets, kept_sweep puts. */
extern const struct secure_kept kept_calls;
void kept_sweep(void);

#endif
