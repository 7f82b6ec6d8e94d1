/* SPDX-License-Identifier: ISC */
/* record: what is known of one SSL object of the program's.  It hangs on the object (CRYPTO_get_ex_new_index(3)) and goes with
 * it.  The program's own locking of the object protects it: OpenSSL lets one thread at a time use one.
 *
 * An object without a record, and a DIRECT one, is OpenSSL's alone. */
#ifndef HOLDFAST_TLS_RECORD_H
#define HOLDFAST_TLS_RECORD_H

#include "http/exchange.h"
#include "tls/bytes.h"
#include "tls/kept.h"
#include "tls/openssl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum record_state {
    RECORD_NEW,    /* made by a module that takes part; no handshake yet */
    RECORD_CHOOSING, /* its ClientHello is made, and kept; its own verification may be running */
    RECORD_OWN,    /* its handshake is its own; its ClientHello is `flight` */
    RECORD_ALIAS,  /* it speaks by `kept`: it made no handshake */
    RECORD_ENDED,  /* its response was delivered, and the client sees the end; `kept`, if any, is the pool's as well */
    RECORD_DIRECT, /* left alone, for good */
    RECORD_STATES,
};

struct record {
    struct ssl *s; /* the program's own */
    enum record_state state;
    struct kept *kept;
    int fd;              /* -1: it was given other BIOs since its handshake */
    int references;      /* how often the program has asked for more than the one that SSL_new gave */
    pid_t pid;           /* who made it: the child of a fork keeps nothing */
    int error;           /* what SSL_get_error says of the last call, -1: what OpenSSL does */
    bool shut;           /* ENDED: the program has called SSL_shutdown */
    bool swallowed;      /* ENDED: ... has written, once */
    bool restarts;       /* ENDED: ... SSL_set_connect_state, which is done when it makes another call but SSL_free */
    bool due;            /* OWN in the place of an ALIAS: its handshake is still to be made, then `request` to be sent */
    bool lost;           /* ... and that has failed */
    bool unfit;          /* its connection is not to be kept */
    bool told;           /* the head of the answer was told of */
    bool looks;          /* OWN: what version the answer has is to be told */
    struct bytes key;    /* what it negotiates (hello.h); empty: the connection is not kept */
    struct bytes flight; /* its ClientHello, as far as it was not sent */
    size_t flight_len;   /* all of it */
    struct exchange x;   /* UNDECIDED: no request yet; OPAQUE: all passes */
    struct bytes request; /* the adapted one; sent up to `request_sent`; ALIAS: until the answer begins */
    size_t request_sent, request_len; /* request_len: the program's own bytes that it stands for, not told of yet; or 0 */
    struct bytes raw;    /* of the answer's head, as the server sent it */
    struct bytes held;   /* for the program */
    bool broken;         /* after `held`: the decoded body was cut short */
    void *chain;         /* ALIAS: what SSL_get0_verified_chain says */
    void *leaf;          /* ALIAS, due: whom the program has verified; what was agreed on with it */
    int version;
    struct bytes protocol;
};

/* Once, when the functions are known; false: there can be none. */
bool record_begin(void);

/* For a new object.  Not for one that is made of an SSL_CTX which was not seen from its beginning. */
void record_create(struct ssl *s);

/* NULL: there is none, or it is DIRECT. */
struct record *record_of(const struct ssl *s);

/* The same, for SSL_free. */
struct record *record_at_its_end(const struct ssl *s);

/* Asserts the move. */
void record_set_state(struct record *r, enum record_state state);

/* What a call answers that fails so, and SSL_get_error behind it. */
static inline int record_fail(struct record *r, int error)
{
    r->error = ERROR_SYSCALL;
    errno = error;
    return -1;
}

/* The object that speaks on the connection. */
static inline struct ssl *record_speaker(const struct record *r)
{
    return r->kept ? r->kept->s : r->s;
}

/* Something was called that is not known to be harmless. */
void record_taint(struct record *r);

/* The program makes something new of its object: it is OpenSSL's alone from here on. */
void record_leave(struct record *r);

/* It has other BIOs now. */
void record_rewired(struct record *r);

/* The program frees its object. */
void record_end(struct record *r);

/* Of an SSL_CTX: seen since it was made, and whether something was called that is not known to be harmless. */
void record_see_context(struct ssl_ctx *ctx);
void record_taint_context(struct ssl_ctx *ctx);
bool record_is_clean(const struct ssl_ctx *ctx);

#endif
