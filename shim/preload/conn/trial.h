/* SPDX-License-Identifier: ISC */
/* trial: what a server has to show before its connections are kept and lent (preload/share/evidence.h), and how it gets
 * to show it.
 *
 * 1. Kept is a connection of a server that has said that it persists, that heeds Connection, or that has answered
 *    a second request; of a client that persists by itself also where the answer is HTTP/1.1 and has a Date.
 * 2. If a server says nothing to one-shot clients, the next such request asks for the close (TRIAL_CLOSE), on a
 *    connection of its own.  It goes out as it is, unless some servers do not read `close` there: then it is adapted,
 *    but for `Connection: close`.  A server that then says so, or closes at once, heeds Connection.
 * 3. Until it has answered a second request, one connection at a time is lent in all of a tree (TRIAL_SECOND), and
 *    only for an idempotent request without a body; all others get connections of their own.
 * 4. If the client gives that up although the request has arrived, or dies, the next request has a connection of
 *    its own (TRIAL_CONTROL).  If that is answered, nothing is lent there for an hour; if not, the server is slow.
 *    So it is where two in a row had to be sent again, or were answered with an error and an end.
 * 5. An answer without a length ends with the connection.  Some servers that are asked to persist stay open behind
 *    one, and wait for the next request (Perl's HTTP::Daemon, where the program prints its answers).  So
 *    behind such an answer (TRIAL_END) one-shot requests ask for the close, for an hour, unless its end came at once.
 * 6. A server that did not read a request's body takes it for the beginning of the next request, and answers that
 *    with an error, or ends.  So, until the server has answered a request well behind a body (EVIDENCE_BODY_OK), one
 *    idempotent request at a time goes out behind one, in all of a tree; what comes of it is wire/provisional.c's business.
 *
 * All of these take a locked conn.  errno is left alone. */
#ifndef HOLDFAST_PRELOAD_TRIAL_H
#define HOLDFAST_PRELOAD_TRIAL_H

#include "preload/conn/conn.h"

#include <stdbool.h>

/* Of the request: it may be sent twice; a body follows what was recognised so far. */
struct trial_request {
    bool idempotent, has_more;
};

/* NEW, LEASED: may an idle connection to c->to be lent?  Then the trial is set as it is due.  Else *why. */
bool trial_may_lease(struct conn *c, enum reason *why);

/* LEASED, and the request is known: REASON_none if it may go out here, or why it wants a connection of its own:
 * on_trial (another one is out), unproven (it cannot be risked, or the close test comes first). */
enum reason trial_begin(struct conn *c, struct trial_request request);

/* FRESH, and the request is known: what it is to show. */
void trial_choose(struct conn *c);

/* Then: a one-shot request goes out as it is, and is followed only. */
static inline bool trial_goes_unchanged(const struct conn *c)
{
    return c->trial == TRIAL_UNCHANGED || (c->trial == TRIAL_CLOSE && c->x.request.plain_close);
}

/* The head of a final answer may have come. */
void trial_look(struct conn *c);

/* TRIAL_CLOSE: the answer is complete.  Waits a moment for the server's end.  OBSERVED: c is forgotten. */
void trial_await_close(struct conn *c);

/* EXCHANGE: the answer that has begun has no length, and its server did not say that it closes. */
void trial_no_length(struct conn *c);

/* The server has ended the connection. */
void trial_ended(struct conn *c);

/* The client closes before an answer is complete.  The socket is still there. */
void trial_given_up(struct conn *c);

/* Its request is about to go out again, on another connection. */
void trial_failed(const struct conn *c);

/* Nothing comes of it any more. */
void trial_drop(struct conn *c);

/* An exchange is complete that nothing else speaks against: why its connection is not to be kept, or REASON_none.
 * What it has shown is noted. */
enum reason trial_verdict(const struct conn *c);

#endif
