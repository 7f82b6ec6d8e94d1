/* SPDX-License-Identifier: ISC */
/* What becomes of a conn that is not to be parked, or not ours any more, and what is written down about it. */
#define _GNU_SOURCE
#include "preload/conn/conn.h"

#include "base/log.h"
#include "base/stats.h"
#include "preload/conn/event.h"
#include "preload/conn/path.h"
#include "preload/fds/private.h"
#include "preload/libc/real.h"
#include "preload/share/idle.h"
#include "preload/share/tracing.h"

#include <errno.h>
#include <poll.h>

enum { END_MS = 50 };

/* Left to libc, which answers; or closed by another thread: then the number is nobody's business here. */
ssize_t conn_lost(const struct conn *c)
{
    if (!c->fds.closed)
        return CONN_PLAIN;
    return conn_has_ended(c) ? 0 : -EBADF;
}

void conn_bypass(struct conn *c, enum reason why)
{
    if (c->idle.secured && conn_is_leased(c)) { /* not to be anybody's: who could, has put another one in its place */
        if (c->fds.count)
            real.shutdown(c->fds.numbers[0].fd, SHUT_RDWR);
        idle_forget_kept(&c->idle);
    }
    if (why != REASON_none) {
        if (conn_is_new(c) || c->state == CONN_FRESH || conn_is_leased(c))
            conn_event(c, EVENT_DIRECT, REASON_none);
        conn_event(c, EVENT_BYPASSED, REASON_none);
        conn_note(c, why);
    }
    path_unguard(c);
    conn_drop_first(c);
    private_close(c->fds.private_fd);
    c->fds.private_fd = -1;
    if (c->reused && !conn_has_ended(c) && c->fds.count) /* it is the client's own from here on */
        options_slow(&c->options, c->fds.numbers[0].fd);
    if (c->registrations.count)
        registrations_let_go(&c->registrations);
    while (c->fds.count)
        conn_drop_fd(c, c->fds.numbers[0].fd);
}

void conn_end_sending(struct conn *c)
{
    real.shutdown(c->fds.numbers[0].fd, SHUT_WR);
    c->after.end_asked = true;
    conn_recount(c);
}

void conn_ask_end(struct conn *c, bool over)
{
    struct pollfd end = { .fd = c->fds.numbers[0].fd, .events = POLLRDHUP };

    conn_end_sending(c);
    if (over)
        (void)real.poll(&end, 1, END_MS);
}

void conn_forbid_parking(struct conn *c, enum reason why)
{
    if (c->unparkable == REASON_none)
        c->unparkable = why;
}

void event_trace(const struct conn *c, enum trace_event event)
{
    tracing_write(&c->to, event, REASON_none);
}

void conn_note(const struct conn *c, enum reason why)
{
    char text[ENDPOINT_TEXT_MAX] = "-";

    stats_reason(why);
    if (why == REASON_bytes_left && c->reused)
        pool_note_closed(&c->to, 0);
    if (tracing_on())
        tracing_write(&c->to, TRACE_reason, why);
    if (!log_on())
        return;
    if (c->to.family)
        endpoint_text(&c->to, text);
    log_printf("fd %d %s %s: %s", c->fds.count ? c->fds.numbers[0].fd : -1, text, reason_name(why),
               reason_sentence(why));
}
