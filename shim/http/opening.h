/* SPDX-License-Identifier: ISC */
/* opening: what the first bytes of a response say on a connection that has served others before.  Pure.
 *
 * Such bytes may belong to the connection's past: the late body of a 304 or of a HEAD, the answer to a body that
 * the server did not read.  What is certain to answer the request is an OPENING_ANSWER. */
#ifndef HOLDFAST_HTTP_OPENING_H
#define HOLDFAST_HTTP_OPENING_H

#include <stdbool.h>
#include <stddef.h>

enum opening {
    OPENING_MORE,     /* could still become any of these; never of EXCHANGE_HEAD_MAX bytes or more */
    OPENING_ANSWER,   /* an answer, a 1xx included, or what any HTTP/1.x client would make of it */
    OPENING_FOREIGN,  /* cannot begin `HTTP/1.`: the rest of something else */
    OPENING_DOUBTFUL, /* a whole head that may answer what the server took for a request: 408, 421, 505; 400, 405
                         and 501 if the connection also ends with it, as one must whose framing is lost */
};

/* `len` (> 0) bytes from the beginning of a response; *status is its code if DOUBTFUL. */
enum opening opening_read(const char *bytes, size_t len, bool head_method, unsigned *status);

/* The code of a response whose status line begins so; 0 if that is not to be told from these bytes. */
unsigned opening_status(const char *bytes, size_t len);

#endif
