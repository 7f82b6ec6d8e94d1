/* after_body: a connection whose last request had a body.  A server that did not read the body takes it for the
 * beginning of the next request, and answers that with an error, or ends.  So, until the server has answered a
 * request well behind a body (EVIDENCE_BODY_OK), one idempotent request at a time goes out behind one, in all of a
 * tree; what comes of it is provisional.c's business.  Of a locked conn. */
#ifndef HOLDFAST_PRELOAD_AFTER_BODY_H
#define HOLDFAST_PRELOAD_AFTER_BODY_H

#include "preload/conn/conn.h"

/* LEASED, and the request is known: REASON_none if it may go out here, or why it wants a connection of its own.
 * After trial_begin. */
enum reason after_body_begin(struct conn *c, bool idempotent);

/* An exchange is complete that nothing else speaks against: why its connection is not to be kept, or REASON_none.
 * What it has shown is noted. */
enum reason after_body_verdict(const struct conn *c);

#endif
