/* SPDX-License-Identifier: ISC */
/* request: recognises, reads and rewrites the head of a request (9112 3).  Pure. */
#ifndef HOLDFAST_HTTP_REQUEST_H
#define HOLDFAST_HTTP_REQUEST_H

#include "base/reason.h"
#include "base/slice.h"
#include "http/exchange.h"
#include "http/field.h"
#include "http/head.h"
#include "http/hopbyhop.h"

#include <stddef.h>
#include <stdint.h>

/* How far a request line has been recognised: the part that its byte `scanned` belongs to. */
enum request_line {
    REQUEST_LINE_METHOD,
    REQUEST_LINE_TARGET,
    REQUEST_LINE_VERSION,
    REQUEST_LINE_DONE,    /* ` HTTP/1.` and a digit have been seen */
    REQUEST_LINE_REFUSED, /* cannot become one; the reason is stored */
};

/* Goes on from `part` and *scanned (METHOD and 0 at first), through all len bytes from the beginning of
 * the line.  DONE: *scanned is where the version begins. */
enum request_line request_line_follow(enum request_line part, const char *bytes, size_t len,
                                      uint32_t *scanned, enum reason *reason);

struct request_head {
    size_t len;
    size_t line_len; /* of the request line with its CRLF; 0: not whole */
    struct slice target;
    struct slice host; /* the authority of an absolute target, else the (last) Host field; empty: none */
    struct request facts;
    struct hop_options options;
    struct field_body body;
    struct hop_cut cut; /* lines that may have to go */
    bool upgrade;
    uint8_t hosts;
    bool bad_host;   /* one of them cannot be a host */
    bool by_version; /* servers heed or refuse a field by the version */
};

/* After REQUEST_LINE_DONE.  `version`: where that begins, or 0 to look for it.  BAD: ambiguous. */
enum head_result request_parse(const char *bytes, size_t len, size_t version, struct request_head *head);

/* Of a parsed head: why it must not be adapted, or REASON_none. */
enum reason request_refusal(const struct request_head *head);

/* Turns `Connection: keep-alive` at the end of such a head into `Connection: close`; its new length. */
size_t request_ask_close(char *head, size_t len);

/* See exchange_adapt. */
size_t request_rewrite(struct slice head, const struct request *facts, const struct hop_cut *cut,
                       struct slice authority, char *out);

#endif
