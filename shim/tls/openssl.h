/* SPDX-License-Identifier: ISC */
/* openssl: of OpenSSL 3 what this library uses, without a header of OpenSSL's.  Each function and constant stands in the
 * manual page that is named beside it (section 3ssl of Debian's libssl-doc; docs.openssl.org).  The objects are opaque. */
#ifndef HOLDFAST_TLS_OPENSSL_H
#define HOLDFAST_TLS_OPENSSL_H

#include <stddef.h>
#include <stdint.h>

struct ssl;
struct ssl_ctx;

/* SSL_get_error(3) */
enum {
    ERROR_NONE = 0,
    ERROR_SSL = 1,
    ERROR_WANT_READ = 2,
    ERROR_WANT_WRITE = 3,
    ERROR_SYSCALL = 5,
    ERROR_ZERO_RETURN = 6,
};

enum {
    SENT_SHUTDOWN = 1,
    RECEIVED_SHUTDOWN = 2,          /* SSL_set_shutdown(3) */
    STATUS_NONE = -1,               /* TLSEXT_STATUSTYPE_nothing */
    VERIFY_NONE = 0,                /* SSL_CTX_set_verify(3) */
    BIO_TYPE_SOCKET = 5 | 0x0400 | 0x0100, /* BIO_meth_new(3), BIO_s_socket(3) */
    EX_INDEX_SSL = 0,               /* CRYPTO_get_ex_new_index(3): CRYPTO_EX_INDEX_SSL, _SSL_CTX */
    EX_INDEX_SSL_CTX = 1,
    OP_NO_RENEGOTIATION = 1 << 30,  /* SSL_CTX_set_options(3) */
};

/* SSL_CTX_ctrl(3) and the macros that are made of it. */
enum {
    CTRL_NUM_RENEGOTIATIONS = 10,   /* SSL_num_renegotiations(3) */
    CTRL_SET_STATUS_CALLBACK = 63,  /* SSL_CTX_set_tlsext_status_cb(3) */
    CTRL_GET_STATUS_TYPE = 127,     /* SSL_get_tlsext_status_type(3): -1, none */
    CTRL_GET_STATUS_CALLBACK = 128, /* SSL_CTX_get_tlsext_status_cb(3), and its argument */
    CTRL_GET_STATUS_ARGUMENT = 129,
    CTRL_MODE = 33,                 /* SSL_set_mode(3) */
    CTRL_CLEAR_MODE = 78,
    CTRL_CERT_FLAGS = 99,           /* SSL_set_cert_flags(3): adds flags, and answers all */
    CTRL_GET_MIN_PROTO = 130,       /* SSL_get_min_proto_version(3), SSL_get_max_proto_version(3) */
    CTRL_GET_MAX_PROTO = 131,
    CTRL_GET_VERIFY_STORE = 137,    /* SSL_get0_verify_cert_store(3) */
};

/* The functions, once: FUNCTION(ret, name, params).  All are in every OpenSSL from 3.0 on. */
struct real {
#define FUNCTION(ret, name, params) ret (*name) params;
#include "tls/openssl.def"
#undef FUNCTION
};

#endif
