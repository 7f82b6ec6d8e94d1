/* SPDX-License-Identifier: ISC */
/* response: reads the head of a response (9112 4, 6.3, 9.3) and edits it in place.  Pure. */
#ifndef HOLDFAST_HTTP_RESPONSE_H
#define HOLDFAST_HTTP_RESPONSE_H

#include "base/slice.h"
#include "http/field.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/hopbyhop.h"

#include <stdbool.h>
#include <stddef.h>

struct response {
    size_t len; /* of the head */
    struct head_status status;
    bool lenient;    /* bare LF */
    bool challenges; /* NTLM or Negotiate */
    bool connection; /* there is such a field */
    bool dated;      /* there is a Date */
    bool close_unsaid; /* for response_edit: it does not gain `Connection: close`; false at first */
    int timeout, max;
    struct hop_options options;
    struct field_body body;
    struct hop_cut cut; /* lines that may have to go */
    enum hop_side side;
};

/* BAD: see status.foreign for the difference between "not HTTP/1.x" and "malformed". */
enum head_result response_parse(const char *bytes, size_t len, enum hop_side side, struct response *response);

/* How a final response's body ends. */
struct response_framing {
    enum framing_kind kind;
    bool untouched; /* other readers may see another end: not even the head is to be edited */
    bool doubtful;  /* no reason to leave it alone, but one not to trust the connection */
    bool unsure;    /* the server may mean another end than this one, and send more */
    bool forced;    /* CLOSE, and the server may not know that it has to close */
};

struct response_framing response_frame(const struct response *response, bool head_method);

/* Takes the hop-by-hop fields out and says `Connection: close` (or not: close_unsaid).  `tail` bytes that follow the head move
 * with its end.  Room for EXCHANGE_RESPONSE_GROWTH bytes behind them.  Returns the head's new length. */
size_t response_edit(char *head, size_t tail, const struct response *response);

#endif
