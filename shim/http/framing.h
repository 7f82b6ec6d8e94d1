/* SPDX-License-Identifier: ISC */
/* framing: follows the body of a message to its end (9112 6 and 7).  Pure; a plain value. */
#ifndef HOLDFAST_HTTP_FRAMING_H
#define HOLDFAST_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum framing_kind {
    FRAMING_NONE,    /* no body */
    FRAMING_LENGTH,  /* Content-Length */
    FRAMING_CHUNKED, /* Transfer-Encoding: chunked */
    FRAMING_CLOSE,   /* until the connection ends */
};

enum framing_result { FRAMING_MORE, FRAMING_DONE, FRAMING_BAD };

struct framing {
    uint8_t kind;     /* enum framing_kind */
    uint8_t state;    /* inside a chunked body; for framing.c only */
    uint8_t digits;   /* of the chunk size in progress; elsewhere see framing.c */
    bool lenient;     /* a bare LF, or a trailer that is none, was accepted: deliver, don't pool */
    uint32_t line;    /* bytes of the chunk-size or trailer lines in progress: bounded */
    uint64_t left;    /* body bytes (LENGTH) or bytes of this chunk (CHUNKED) still to come;
                         in trailers see framing.c */
};

void framing_start(struct framing *f, enum framing_kind kind, uint64_t length);

/* Follows len bytes; *used is how many belong to this body (the rest comes after its end).
 * DONE once the body is complete (at once, with *used = 0, where there is none). */
enum framing_result framing_follow(struct framing *f, const char *bytes, size_t len, size_t *used);

/* The same for a chunked body, and moves the data to the front, without chunk lines and trailers:
 * *out bytes of it. */
enum framing_result framing_decode(struct framing *f, char *bytes, size_t len, size_t *used,
                                   size_t *out);

#endif
