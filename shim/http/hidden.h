/* SPDX-License-Identifier: ISC */
/* hidden: could bytes that are no request be taken for one?  A server that does not read a body, or not all of
 * it, takes what is left of it for the next request, and whoever wrote the body has chosen that request.  One that
 * we asked to keep the connection then executes it.  Pure.
 *
 * A request begins a line, with a token and a blank (9112 3).  Python's http.server splits the line at white space
 * of any kind and does not mind any before the method, so neither do we.  A server that has read a part of the
 * body only begins in the middle of a line: there the version gives a request away. */
#ifndef HOLDFAST_HTTP_HIDDEN_H
#define HOLDFAST_HTTP_HIDDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: at the beginning of a line. */
struct hidden {
    uint8_t state, matched;
};

/* Goes on with these bytes.  True: a request is, or was, among them. */
bool hidden_found(struct hidden *h, const char *bytes, size_t len);

/* How many of these bytes come before the first line that is like a request, or could become like one: those
 * cannot be taken for one.  Goes on with just them; show the others again with what follows. */
size_t hidden_before(struct hidden *h, const char *bytes, size_t len);

#endif
