/* SPDX-License-Identifier: ISC */
/* exchange_states: what exchange.c (the client's side), exchange_server.c and exchange_observed.c
 * share. */
#ifndef HOLDFAST_HTTP_EXCHANGE_STATES_H
#define HOLDFAST_HTTP_EXCHANGE_STATES_H

#include "http/exchange.h"
#include "http/request.h"
#include "http/response.h"

/* client_state.  While it is one of the first five, the exchange is UNDECIDED, or OBSERVED and in a
 * head that is not its first.
 *   METHOD TARGET VERSION  bytes pass and are kept     -> FIELDS, or opaque
 *   FIELDS                 bytes are held              -> AHEAD; DONE (by exchange_observe); or opaque
 *   AHEAD                  the head and its body are   -> BODY, DONE (by exchange_adapt), or opaque
 *                          held, of a one-shot request
 *   BODY                   bytes pass, and are counted -> DONE, RAW
 *   DONE                   CR and LF are dropped, or   -> EXTRA
 *                          held until `listens` is known
 *   EXTRA                  more than the request: dropped, or passes and is never parked, or is held
 *                          until `listens` is known
 *   RAW                    the body's end was lost: passes, never parked
 * Where it is different for an OBSERVED one:
 *   FIELDS                 bytes pass and are kept     -> BODY, DONE, or opaque
 *   BODY                                               -> DONE, or opaque; RAW by a 101
 *   DONE                   CR and LF pass              -> STRAY, METHOD
 *   STRAY                  as DONE, but not idle: the server may wait for the rest of a request */
enum client_state {
    CLIENT_METHOD = REQUEST_LINE_METHOD,
    CLIENT_TARGET = REQUEST_LINE_TARGET,
    CLIENT_VERSION = REQUEST_LINE_VERSION,
    CLIENT_FIELDS = REQUEST_LINE_DONE,
    CLIENT_AHEAD,
    CLIENT_BODY,
    CLIENT_DONE,
    CLIENT_STRAY,
    CLIENT_EXTRA,
    CLIENT_RAW,
};

/* server_state.
 *   HEAD           held until whole; 1xx stay here    -> BODY, DECODE, DONE, RAW
 *   BODY           passes, and is counted             -> DONE, RAW (also where its end is in doubt)
 *   DECODE         chunks go                          -> DONE_DECODED, BROKEN
 *   DONE           whatever follows passes, as it would have
 *   DONE_DECODED   whatever follows is dropped: it was no part of what the client asked for
 *   BROKEN         nothing more for the client but an error
 *   RAW            passes; the end of the response is the server's end of file
 * An OBSERVED exchange knows HEAD, BODY and RAW only; the end of a response leads to HEAD. */
enum server_state {
    SERVER_HEAD,
    SERVER_BODY,
    SERVER_DECODE,
    SERVER_DONE,
    SERVER_DONE_DECODED,
    SERVER_BROKEN,
    SERVER_RAW,
};

/* Of several reasons not to park, the first one counts. */
static inline void exchange_note(struct exchange *x, enum reason reason)
{
    if (x->reason == REASON_none)
        x->reason = reason;
}

/* Where the client is after the head that request_body was started from. */
static inline enum client_state exchange_after_head(const struct exchange *x)
{
    const struct framing *body = &x->request_body;

    if (body->kind == FRAMING_NONE || (body->kind == FRAMING_LENGTH && body->left == 0))
        return CLIENT_DONE;
    return CLIENT_BODY;
}

/* AHEAD: the head is read; goes on behind it.  As exchange_client. */
struct exchange_step exchange_look_ahead(struct exchange *x, const char *bytes, size_t len);

/* x->request was read from a whole head of an observed client: it waits for its response.  False: too
 * many do. */
bool exchange_observed_request(struct exchange *x);

/* A response's head, of which *scanned bytes were there when it was MORE.  BAD also if it is too
 * long. */
enum head_result exchange_server_head(uint32_t *scanned, enum hop_side side, const char *bytes, size_t len,
                                      struct response *r);

/* 9110 15.2; 101 is the end of this protocol and counts as final here. */
static inline bool exchange_server_interim(const struct response *r)
{
    return r->status.code < 200 && r->status.code != 101;
}

/* A final response with a body of that kind: may the connection persist (9112 9.3)?  The server's view. */
void exchange_server_persistence(struct exchange *x, const struct response *r, enum framing_kind kind);

#endif
