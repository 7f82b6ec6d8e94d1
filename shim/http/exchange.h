/* SPDX-License-Identifier: ISC */
/* exchange: requests and responses as they pass between a client and its server: one of each where it
 * is adapted, all that the connection carries where it is observed.  A pure state machine: bytes in,
 * actions out; no I/O, no allocation, no clock.  It is a plain value: copy it to look ahead (MSG_PEEK)
 * or to be able to go back (a send that was not accepted).
 *
 * The caller keeps the bytes.  Client to server: show exchange_client what the client wrote and do as
 * it says.  Server to client: exchange_server edits what was read of an adapted response in place,
 * exchange_follow only looks at what an observed client is given.  Which socket the request goes out on
 * is the caller's choice, made when exchange_client answers EXCHANGE_HEAD. */
#ifndef HOLDFAST_HTTP_EXCHANGE_H
#define HOLDFAST_HTTP_EXCHANGE_H

#include "base/reason.h"
#include "base/slice.h"
#include "http/framing.h"
#include "http/hidden.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer head, of either side, is left alone. */
#define EXCHANGE_HEAD_MAX 65536u

/* How much longer than the original an adapted head can get: "Connection: close\r\n" for a response;
 * for a request "Connection: keep-alive\r\n" and "Host: " + authority + "\r\n", where a given
 * authority's length is not counted, but one that is taken from an absolute target (9112 3.2) is. */
#define EXCHANGE_RESPONSE_GROWTH 19u
#define EXCHANGE_REQUEST_GROWTH 320u

/* An observed client that has more requests outstanding is followed no further. */
#define EXCHANGE_PIPELINE_MAX 32u

enum exchange_kind {
    EXCHANGE_UNDECIDED, /* no whole request head yet */
    EXCHANGE_ADAPTED,   /* rewritten; the client is shown an end of file at the end */
    EXCHANGE_OBSERVED,  /* not a byte changes; followed, so that a close between exchanges can be a park */
    EXCHANGE_OPAQUE,    /* never ours (again): pass everything both ways; `reason` says why */
};

/* What a request head says, as far as sockets are concerned.  Hashes are 64 bits, 0 for "absent". */
struct request {
    bool one_shot;        /* the client expects the connection to end with this exchange */
    bool plain_close;     /* one_shot, and no server can read that otherwise: not `Connection: TE, close` */
    bool idempotent;      /* 9110 9.2.2: GET HEAD OPTIONS TRACE PUT DELETE */
    bool head_method;     /* HEAD: the response has no body */
    bool absolute;        /* absolute-form: the next hop is a proxy */
    bool has_host;
    bool bodiless;        /* a method that has no body where none is framed: GET HEAD OPTIONS TRACE DELETE PURGE */
    bool expects;         /* an Expect field */
    bool body;            /* a body is framed, and not an empty one */
    bool framed;          /* a body is framed, or said to be empty */
    bool connection_auth; /* Authorization or Proxy-Authorization: NTLM or Negotiate */
    uint8_t minor;        /* HTTP/1.minor as the client said it: 0 or 1 */
    uint64_t host;        /* of the Host field, lower case; of the target's authority in absolute-form */
    uint64_t proxy_auth;  /* of Proxy-Authorization */
};

enum exchange_action {
    EXCHANGE_HOLD,      /* keep all of it back, show it again with what comes next; ADAPTED: or when the head of
                           the answer has been seen */
    EXCHANGE_PASS_KEEP, /* the beginning of a request line: nothing in it can change, so it may go out;
                           keep a copy and show it again with what comes next.  OBSERVED: any part of
                           a head that is not the first */
    EXCHANGE_PASS,      /* send the first `take` bytes as they are; they need not be shown again */
    EXCHANGE_DROP,      /* swallow the first `take` bytes */
    EXCHANGE_HEAD,      /* the first `take` bytes are a whole head, see `request`: call exchange_adapt,
                           exchange_observe or exchange_release next.  If it is `one_shot`, all of its body is
                           there, too, behind it */
};

struct exchange_step {
    enum exchange_action action;
    size_t take;
};

/* Would a server that was not asked to persist still read what its client sends? */
enum exchange_listens {
    EXCHANGE_LISTENS_PERHAPS, /* the head of its answer has not been seen */
    EXCHANGE_LISTENS,         /* it says that it closes, or when it ends is not known */
    EXCHANGE_DEAF,            /* it would have closed: the answer says where it ends */
};

enum exchange_flow {
    EXCHANGE_MORE,   /* a head is not whole: keep bytes [used, len) and show them again with more */
    EXCHANGE_DATA,   /* all used */
    EXCHANGE_END,    /* all used, and the response is complete: see exchange_verdict */
    EXCHANGE_BROKEN, /* all used; after the `out` bytes the client must see ECONNRESET, because what it
                        was given was decoded and is cut short */
};

struct exchange_reply {
    enum exchange_flow flow;
    size_t used; /* input bytes taken, from the beginning */
    size_t out;  /* bytes at the beginning of the buffer that are now the client's */
};

struct exchange {
    enum exchange_kind kind;
    enum reason reason;     /* OPAQUE: why.  Else the first reason found not to park, or none */
    struct request request; /* valid from EXCHANGE_HEAD on; OBSERVED: the newest whole head's */
    uint32_t requests;      /* that went out, whole heads: 1 where it is adapted */
    int keep_timeout;       /* seconds of the newest response's Keep-Alive: timeout, -1: none */
    int keep_max;           /* its max, -1: none */
    bool promised;          /* the server said in so many words that it persists */
    bool said_close;        /* ... that it closes */
    bool http11, dated;     /* the newest final response is HTTP/1.1; has a Date */
    uint16_t status;        /* of the newest final response whose head is whole, 0: none yet */
    bool closing;           /* set before exchange_adapt: the server is asked to close; never parked */
    bool close_unsaid;      /* set before exchange_adapt: the server does not say `Connection: close` to HTTP/1.0
                               clients, so its answer to such a one does not gain it */
    /* Below: for exchange_* only. */
    uint8_t client_state, server_state;
    bool answered, ask_close;
    bool end_when_awaited;  /* exchange_awaits_end */
    bool over_perhaps;      /* exchange_over_perhaps */
    bool unsure;            /* others may see another end of the response */
    bool bare_lf;           /* the head of the answer has lines that end so */
    bool unsafe;            /* OBSERVED: a request was not idempotent */
    uint8_t listens;        /* enum exchange_listens */
    struct hidden extra;    /* the body, before the head is adapted; what follows the request and went out, after */
    uint32_t head_len, ahead_len; /* of the first head, and of the body behind it that `ahead` has followed */
    uint8_t interim;        /* 1xx responses swallowed so far */
    uint32_t scanned;       /* how far the client's head has been searched for its end */
    uint32_t server_scanned;
    uint32_t version; /* where that of the request line begins */
    struct {
        uint32_t from, to;
        bool all;
    } cut; /* lines of the request's head that may have to go */
    struct framing request_body;
    union {
        struct framing response_body;
        struct framing ahead; /* the request's body, as far as it was looked at before the head was adapted */
    };
    struct {
        uint8_t first, count;
        uint8_t flags[EXCHANGE_PIPELINE_MAX]; /* a ring */
    } asked; /* OBSERVED: what is to be known of each request until its response is complete */
};

void exchange_init(struct exchange *x);

/* Client to server.  `bytes` holds `len` (> 0) bytes: everything that was kept by HOLD or PASS_KEEP,
 * then what is new.  Call again with the rest after PASS and DROP with take < len.  If `kind` is
 * EXCHANGE_OPAQUE afterwards, the action is PASS of all of it.
 *
 * Of an observed x the answer is PASS or PASS_KEEP: all of it may go out at once.  `take` of a later
 * head's PASS includes what PASS_KEEP has sent of it, and `request` is that head's from then on.  A head
 * that request_refusal (request.h) would not have passed, a body whose end is in doubt, or more than
 * EXCHANGE_PIPELINE_MAX requests outstanding make x opaque.
 *
 * To count only what the socket accepted: look with a copy, send, and show the original what went. */
struct exchange_step exchange_client(struct exchange *x, const char *bytes, size_t len);

/* After EXCHANGE_HEAD: writes the adapted head of head[0, take) into out, and follows the request's
 * body from here on.  `authority` is what a missing Host becomes, e.g. "127.0.0.1:8080" or "[::1]".
 * cap >= take + authority.len + EXCHANGE_REQUEST_GROWTH.  Returns its length.
 * The bytes of the request line before the last digit of its version are never changed. */
size_t exchange_adapt(struct exchange *x, const char *head, size_t take, struct slice authority,
                      char *out);

/* After EXCHANGE_HEAD, whatever `request` says: the head of `take` bytes goes out as it is, and the
 * conversation is followed from here on: exchange_client for all that the client sends after that head,
 * exchange_follow for all that the server sends. */
void exchange_observe(struct exchange *x);

/* At any time: give up, pass everything from now on. */
void exchange_release(struct exchange *x, enum reason reason);

/* True while the next bytes from the server belong to a head that is to be edited; exchange_server then
 * needs EXCHANGE_RESPONSE_GROWTH bytes of room behind its input.  Never of an observed x. */
bool exchange_in_head(const struct exchange *x);

/* Server to client, in place; not of an observed x. */
struct exchange_reply exchange_server(struct exchange *x, char *bytes, size_t len);

/* Does exchange_server look at no byte of what comes next, up to exchange_body_left of them, and pass all?  Then `bytes`
 * may be NULL. */
bool exchange_passes_unseen(const struct exchange *x);

/* Server to client of an observed x (nothing happens to any other).  The bytes are the client's as they
 * are.  Returns how many were taken: bytes [used, len) begin a head and must be shown again, before what
 * comes next, although the client has got them; fewer than EXCHANGE_HEAD_MAX.
 *
 * Responses belong to requests in their order, 1xx to none (9110 15.2).  What makes the connection
 * unfit for others is noted for exchange_verdict; once the end of a message is lost (no length, 101,
 * malformed, nothing was asked) all is taken and nothing looked at any more.
 *
 * Show exchange_client what was sent before showing the answer to it here. */
size_t exchange_follow(struct exchange *x, const char *bytes, size_t len);

/* Between two exchanges of an observed x: at least one is complete, nothing is outstanding, and nothing
 * of another message has been seen in either direction.  A close may then become a park, if
 * exchange_verdict has no objection. */
bool exchange_idle(const struct exchange *x);

/* Requests of an observed x whose final response is not complete; 0 of any other.  A request counts
 * from the end of its head on. */
unsigned exchange_outstanding(const struct exchange *x);

/* In a head: how many of these bytes end with the last whole head of which the client will see something, the final one
 * if that is whole (interim responses that are swallowed count in); 0 if none is whole.  Changes nothing.  Also
 * answers `len` when no head is to be waited for (not HTTP, too long). */
size_t exchange_head_end(const struct exchange *x, const char *bytes, size_t len);

/* The server's end of file, or an error of its socket.  False: the client may see it as it is; true:
 * the client must get ECONNRESET, because a decoded body was cut short (9112 8). */
bool exchange_cut_short(const struct exchange *x);

/* The response is complete, and the client has no framing to see its end by. */
bool exchange_decoded(const struct exchange *x);

/* Body bytes that the server still owes, UINT64_MAX if that is not known in advance.  OBSERVED: of the
 * response in progress; 0 when nothing is outstanding. */
uint64_t exchange_body_left(const struct exchange *x);

/* Of a body that is decoded: what comes next is not the client's. */
bool exchange_between_chunks(const struct exchange *x);

/* True once when the response cannot be delimited although the server was asked to persist: end the
 * sending side (SHUT_WR), so that the server closes.  Only after the request was sent. */
bool exchange_asks_close(struct exchange *x);

/* The response is complete as RFC 9112 reads it, but others may see more of it (a 204 that announces chunks): an end is all
 * that is to come, or bytes that belong to the client. */
bool exchange_over_perhaps(const struct exchange *x);

/* The client receives, and all of its response was delivered, in a head with bare LF that shows no `close`: some
 * clients send their next request now, and this one waits for the end.  True once: end the sending side, so that
 * the server closes as it would have, had it been asked to. */
bool exchange_awaits_end(struct exchange *x);

/* Has any byte of a response been seen, since exchange_init?  Then a replay is too late, but for half a
 * head of an adapted response, of which the client has got nothing: exchange_unanswered forgets it. */
bool exchange_answered(const struct exchange *x);
void exchange_unanswered(struct exchange *x);

/* Is every request since exchange_init idempotent?  If not, what was sent cannot be sent again. */
bool exchange_idempotent(const struct exchange *x);

/* Body bytes that the client still owes after EXCHANGE_HEAD, UINT64_MAX if that is not known in advance. */
uint64_t exchange_request_left(const struct exchange *x);

/* ADAPTED: what is known of that, and, from who has seen the head of the answer elsewhere, what is so. */
enum exchange_listens exchange_listens(const struct exchange *x);
void exchange_learn_listens(struct exchange *x, enum exchange_listens listens);

/* ADAPTED: bytes that were held behind the request, and nothing will come behind them: can no server take them for
 * another request? */
bool exchange_may_follow(const struct exchange *x, const char *bytes, size_t len);

/* After EXCHANGE_HEAD of these bytes, of a one-shot request: is there more than the request among them?  It comes in
 * one call, so a server that reads on will read it: best left alone. */
bool exchange_goes_beyond(const struct exchange *x, const char *bytes, size_t len);

/* Of `len` bytes that were shown and held or kept: how many can go out as they are whatever follows: those of the
 * request line before the last digit of its version. */
size_t exchange_fixed(const struct exchange *x, size_t len);

/* Can the bytes so far only be those of an HTTP/1.x request?  A method of 9110 and a blank have been seen. */
bool exchange_is_http(const struct exchange *x, const char *bytes, size_t len);

/* Is a whole head held until its body is there? */
bool exchange_awaits_body(const struct exchange *x);

/* Was the request (OBSERVED: everything that the client began) sent completely? */
bool exchange_request_done(const struct exchange *x);

/* After EXCHANGE_END, or when exchange_idle: REASON_none if the connection may be parked, else why not. */
enum reason exchange_verdict(const struct exchange *x);

#endif
