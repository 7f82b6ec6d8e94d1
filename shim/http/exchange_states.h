/* exchange_states: what exchange.c (the client's side) and exchange_server.c share. */
#ifndef HOLDFAST_HTTP_EXCHANGE_STATES_H
#define HOLDFAST_HTTP_EXCHANGE_STATES_H

#include "http/exchange.h"
#include "http/request.h"

/* client_state.  While it is one of the first three, the exchange is UNDECIDED.
 *   METHOD TARGET VERSION  bytes pass and are kept     -> FIELDS, or opaque
 *   FIELDS                 bytes are held              -> HEAD (by exchange_adapt), or opaque
 *   BODY                   bytes pass, and are counted -> DONE, RAW
 *   DONE                   CR and LF are dropped       -> EXTRA
 *   EXTRA                  more than one request: passes, never parked
 *   RAW                    the body's end was lost: passes, never parked */
enum client_state {
    CLIENT_METHOD = REQUEST_LINE_METHOD,
    CLIENT_TARGET = REQUEST_LINE_TARGET,
    CLIENT_VERSION = REQUEST_LINE_VERSION,
    CLIENT_FIELDS = REQUEST_LINE_DONE,
    CLIENT_BODY,
    CLIENT_DONE,
    CLIENT_EXTRA,
    CLIENT_RAW,
};

/* server_state.
 *   HEAD           held until whole; 1xx stay here    -> BODY, DECODE, DONE, RAW
 *   BODY           passes, and is counted             -> DONE, RAW
 *   DECODE         chunks go                          -> DONE_DECODED, BROKEN
 *   DONE           whatever follows passes, as it would have
 *   DONE_DECODED   whatever follows is dropped: it was no part of what the client asked for
 *   BROKEN         nothing more for the client but an error
 *   RAW            passes; the end of the response is the server's end of file */
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

#endif
