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
 * All functions leave errno alone. */
#ifndef HOLDFAST_PRELOAD_TRIAL_H
#define HOLDFAST_PRELOAD_TRIAL_H

#include "preload/conn/conn.h"

#include <stdbool.h>

/* What trial_begin has to know of a request: it is idempotent; a body follows the head. */
struct trial_request {
    bool idempotent, has_more;
};

/* Locked.  NEW, LEASED: may an idle connection to c->to be lent?  True: c->trial is TRIAL_DUE if the server has still to
 * show that it answers a second request.  False: *why says why not. */
bool trial_may_lease(struct conn *c, enum reason *why);

/* Locked.  LEASED, and the request is known.  REASON_none: it may go out here, and if c->trial was due, it has begun.  Else why
 * the request wants a connection of its own: on_trial (another trial of this server is under way), unproven (the request
 * cannot be risked, or the close test comes first). */
enum reason trial_begin(struct conn *c, struct trial_request request);

/* Locked.  FRESH, and the request is known: sets c->trial to what this exchange is to show, if anything. */
void trial_choose(struct conn *c);

/* Locked.  After trial_choose or trial_begin: does the one-shot request go out as it is, so that the exchange is observed? */
static inline bool trial_goes_unchanged(const struct conn *c)
{
    return c->trial == TRIAL_UNCHANGED || (c->trial == TRIAL_CLOSE && c->x.request.plain_close);
}

/* Locked.  Bytes of an answer were followed.  TRIAL_SECOND, TRIAL_CONTROL: once the final head is among them, notes what the
 * answer shows, and the trial is over.  Any other trial: does nothing. */
void trial_look(struct conn *c);

/* Locked.  The answer is complete.  TRIAL_CLOSE: waits a moment for the server's close, and notes whether it came; if c is
 * OBSERVED, libc alone has the socket then.  Any other trial: does nothing. */
void trial_await_close(struct conn *c);

/* Locked.  EXCHANGE: the answer that has begun ends with the server's close, and the server did not say that it closes:
 * c->trial is TRIAL_END, unless another trial is under way. */
void trial_no_length(struct conn *c);

/* Locked.  The server has closed.  TRIAL_END: notes whether it did so right behind its answer. */
void trial_ended(struct conn *c);

/* Locked.  The client closes before the answer is complete; the socket is still open.  Notes if the request has arrived and the
 * server was silent.  The trial is over. */
void trial_given_up(struct conn *c);

/* Locked.  The connection broke, and the request is about to be sent again on another one.  TRIAL_SECOND: notes that the server
 * did not answer a second request, unless the path was at fault (path.h). */
void trial_failed(const struct conn *c);

/* Locked.  The trial is over, decided or not: the server may be tried by others. */
void trial_drop(struct conn *c);

/* Locked.  An exchange is complete, and nothing else speaks against parking its connection.  Notes what the exchange has shown.
 * REASON_none, or why the connection is not to be kept. */
enum reason trial_verdict(const struct conn *c);

#endif
