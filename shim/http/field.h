/* SPDX-License-Identifier: ISC */
/* field: the fields that matter to a connection, and what their values say.  Names compare without
 * case, ASCII only. */
#ifndef HOLDFAST_HTTP_FIELD_H
#define HOLDFAST_HTTP_FIELD_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum field_id {
    FIELD_OTHER,
    FIELD_TE,
    FIELD_DATE,
    FIELD_HOST,
    FIELD_RANGE,
    FIELD_COOKIE,
    FIELD_EXPECT,
    FIELD_TRAILER,
    FIELD_TRAILERS,
    FIELD_UPGRADE,
    FIELD_CONNECTION,
    FIELD_KEEP_ALIVE,
    FIELD_AUTHORIZATION,
    FIELD_CONTENT_LENGTH,
    FIELD_PROXY_CONNECTION,
    FIELD_WWW_AUTHENTICATE,
    FIELD_TRANSFER_ENCODING,
    FIELD_PROXY_AUTHENTICATE,
    FIELD_PROXY_AUTHORIZATION,
    FIELD_COUNT
};

/* By the first letter (its lower five bits): a bit for the length of each name above. */
extern const uint32_t field_lengths[32];
enum field_id field_identify_known(struct slice name);

static inline enum field_id field_identify(struct slice name)
{
    if (name.len - 1 >= 31 || !(field_lengths[name.data[0] & 31] >> name.len & 1))
        return FIELD_OTHER;
    return field_identify_known(name);
}

/* The next element of a comma-separated list that is not empty (9110 5.6.1); false: no more. */
bool field_element(struct slice *list, struct slice *element);

/* 64 bits of the lower-cased value, never 0. */
uint64_t field_hash(struct slice value);

/* How a head delimits its body (9112 6.3), gathered from all its Content-Length and Transfer-Encoding
 * fields.  Zeroed at first. */
struct field_body {
    uint64_t length; /* the first length */
    bool has_length;
    bool bad_length; /* not a number, beyond 9.2e18, or two that differ */
    bool repeated;   /* more than one, all equal so far */
    bool has_coding;
    bool ends_chunked;  /* the last coding is chunked */
    bool plain_chunked; /* the one and only coding is chunked */
};

void field_add_length(struct field_body *body, struct slice value);
void field_add_coding(struct field_body *body, struct slice value);

/* Keep-Alive: timeout=N, max=M, in any order, with or without quotes; seconds.  Writes only what is
 * there and a number; of several the smallest; -1 is "none yet". */
void field_keep_alive(struct slice value, int *timeout, int *max);

/* Credentials, or a list of challenges: is a scheme among them that authenticates the connection rather
 * than the request: NTLM, Negotiate? */
bool field_authenticates_connection(struct slice value);

#endif
