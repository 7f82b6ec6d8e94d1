/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/trial.h"

#include "preload/share/evidence.h"
#include "preload/self/self.h"
#include "preload/libc/real.h"
#include "preload/fds/tcpinfo.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>

enum {
    CLOSE_MS = 25, /* in which the end comes that was asked for: right behind the answer */
    END_MS = 400,  /* in which the end comes that stands for a length */
};

/* ---- before a request is sent ---- */

static bool persists(const struct endpoint *to)
{
    return evidence_has(to, EVIDENCE_SAID_SO) ||
           (evidence_has(to, EVIDENCE_HEEDS_CLOSE) && !evidence_has(to, EVIDENCE_ALWAYS_CLOSES));
}

/* Has the server to be asked for the close before its connections are used by one-shot clients? */
static bool lacks_close_test(const struct endpoint *to)
{
    return evidence_has(to, EVIDENCE_SILENT) && !evidence_has(to, EVIDENCE_ALWAYS_CLOSES) && !persists(to) &&
           !evidence_has(to, EVIDENCE_REUSED);
}

bool trial_may_lease(struct conn *c, enum reason *why)
{
    bool proved = evidence_has(&c->to, EVIDENCE_REUSED);

    c->trial = TRIAL_NONE;
    if (proved)
        return true;
    *why = evidence_has(&c->to, EVIDENCE_NEVER_SECOND) ? REASON_never_second
           : !evidence_trial_possible(&c->to)          ? REASON_on_trial
           : evidence_has(&c->to, EVIDENCE_SILENT_ONCE) ? REASON_silent_once
                                                        : REASON_none;
    c->trial = *why == REASON_none ? TRIAL_DUE : TRIAL_NONE;
    return *why == REASON_none;
}

/* If nobody answers it, it is lost.  With a body, which others may take for the next request, only where the server
 * has said that it persists, or heeds Connection; it is held whole. */
static bool can_be_risked(const struct conn *c, struct trial_request request)
{
    return (request.idempotent || self.config.unsafe == CONFIG_UNSAFE_REUSE) &&
           (!request.has_more || persists(&c->to));
}

static enum reason begin_second(struct conn *c, struct trial_request request)
{
    if (c->x.request.one_shot && evidence_has(&c->to, EVIDENCE_OPEN_ENDED))
        return REASON_stays_open;
    if (c->trial != TRIAL_DUE || evidence_has(&c->to, EVIDENCE_REUSED))
        return REASON_none;
    if (!can_be_risked(c, request))
        return REASON_unproven;
    if (c->x.request.one_shot && lacks_close_test(&c->to))
        return REASON_unproven;
    if (!evidence_trial_begin(&c->to))
        return REASON_on_trial;
    c->trial = TRIAL_SECOND;
    return REASON_none;
}

/* As trial_begin, where the last request had a body. */
static enum reason begin_behind_body(struct conn *c, bool idempotent)
{
    if (!c->idle.after_body || evidence_has(&c->to, EVIDENCE_BODY_OK))
        return REASON_none;
    if (!idempotent)
        return REASON_unproven;
    if (c->trial == TRIAL_SECOND)
        return REASON_none;
    if (!evidence_trial_begin(&c->to))
        return REASON_on_trial;
    c->trial = TRIAL_SECOND;
    return REASON_none;
}

enum reason trial_begin(struct conn *c, struct trial_request request)
{
    enum reason why = begin_second(c, request);

    return why == REASON_none ? begin_behind_body(c, request.idempotent) : why;
}

void trial_choose(struct conn *c)
{
    const struct request *request = &c->x.request;

    const uint32_t any = EVIDENCE_BIT(EVIDENCE_OPEN_ENDED) | EVIDENCE_BIT(EVIDENCE_SILENT_ONCE) |
                         EVIDENCE_BIT(EVIDENCE_SILENT);

    if (c->trial == TRIAL_CLOSE) /* chosen already, when nothing could be sent */
        return;
    if (!evidence_which(&c->to, any)) /* nearly always: one look */
        return;
    if (request->one_shot && evidence_has(&c->to, EVIDENCE_OPEN_ENDED))
        c->trial = TRIAL_UNCHANGED;
    else if (evidence_has(&c->to, EVIDENCE_SILENT_ONCE))
        c->trial = TRIAL_CONTROL;
    else if (request->one_shot && lacks_close_test(&c->to) && !evidence_has(&c->to, EVIDENCE_IGNORES_CLOSE) &&
             evidence_note(&c->to, EVIDENCE_ASKED_TO_CLOSE))
        c->trial = TRIAL_CLOSE;
}

/* ---- what came of it ---- */

/* A status that may be the answer to something else than the request is no good answer. */
static bool is_good(unsigned status)
{
    switch (status) {
    case 400:
    case 405:
    case 408:
    case 421:
    case 501:
    case 505:
        return false;
    default:
        return status >= 200;
    }
}

/* 500 or 503 and an end is what some servers have for any second request. */
static bool refuses_second(const struct conn *c)
{
    return c->x.said_close && (c->x.status >= 500 || !is_good(c->x.status));
}

static void note_reused(const struct endpoint *to)
{
    if (!evidence_note(to, EVIDENCE_REUSED))
        return;
    evidence_forget(to, EVIDENCE_SILENT_ONCE);
    evidence_forget(to, EVIDENCE_FAILED_ONCE);
    evidence_forget(to, EVIDENCE_NEVER_SECOND);
}

/* Once may be chance: an idle time that had just run out. */
static void note_failed(const struct endpoint *to)
{
    if (!evidence_note(to, EVIDENCE_FAILED_ONCE))
        evidence_note(to, EVIDENCE_NEVER_SECOND);
}

void trial_failed(const struct conn *c)
{
    struct tcpinfo info;

    if (c->trial != TRIAL_SECOND || c->fds.count == 0)
        return;
    /* Else the path is at fault: preload/conn/path.h. */
    if (!tcpinfo_read(c->fds.numbers[0].fd, &info) || info.arrived)
        note_failed(&c->to);
}

void trial_drop(struct conn *c)
{
    enum conn_trial trial = c->trial;

    c->trial = TRIAL_NONE;
    if (trial == TRIAL_SECOND)
        evidence_trial_end(&c->to);
    if (trial == TRIAL_CLOSE)
        evidence_forget(&c->to, EVIDENCE_ASKED_TO_CLOSE);
}

void trial_look(struct conn *c)
{
    if (!c->x.status || (c->trial != TRIAL_SECOND && c->trial != TRIAL_CONTROL))
        return;
    if (c->trial == TRIAL_CONTROL && evidence_has(&c->to, EVIDENCE_SILENT_ONCE)) {
        evidence_forget(&c->to, EVIDENCE_SILENT_ONCE);
        evidence_note(&c->to, EVIDENCE_NEVER_SECOND);
    } else if (c->trial == TRIAL_SECOND && refuses_second(c)) {
        note_failed(&c->to);
    } else if (c->trial == TRIAL_SECOND && is_good(c->x.status)) {
        note_reused(&c->to);
    }
    trial_drop(c);
}

/* The server's end comes right behind its answer. */
static bool ends_soon(const struct conn *c)
{
    int fd = c->fds.private_fd >= 0 ? c->fds.private_fd : c->fds.count ? c->fds.numbers[0].fd : -1;
    struct pollfd wait = { .fd = fd, .events = POLLRDHUP };
    int saved = errno;
    bool ended = fd >= 0 && self.active && real.poll(&wait, 1, CLOSE_MS) > 0;

    errno = saved;
    return ended;
}

void trial_await_close(struct conn *c)
{
    if (c->trial != TRIAL_CLOSE || !c->x.status || !self.active)
        return;
    bool closed = c->x.said_close || ends_soon(c);
    evidence_note(&c->to, closed ? EVIDENCE_HEEDS_CLOSE : EVIDENCE_IGNORES_CLOSE);
    if (c->x.request.minor == 0 && c->x.http11 && !c->x.said_close)
        evidence_note(&c->to, EVIDENCE_SAYS_NO_CLOSE);
    trial_drop(c);
    if (c->fds.count && conn_is_observed(c))
        conn_bypass(c, REASON_close_test);
}

void trial_no_length(struct conn *c)
{
    bool another = c->trial != TRIAL_NONE && c->trial != TRIAL_DUE;

    if (another || !conn_is_exchange(c))
        return;
    if (evidence_note(&c->to, EVIDENCE_OPEN_ENDED))
        c->trial = TRIAL_END;
}

void trial_ended(struct conn *c)
{
    struct tcpinfo info;

    if (c->trial != TRIAL_END || !c->fds.count || !tcpinfo_read(c->fds.numbers[0].fd, &info))
        return;
    if (info.since_data_ms < END_MS)
        evidence_forget(&c->to, EVIDENCE_OPEN_ENDED);
    trial_drop(c);
}

/* All of the request has been acknowledged, and nothing came, an end neither. */
static bool was_ignored(const struct conn *c)
{
    int saved = errno, unacknowledged = 0;
    int fd = c->fds.count ? c->fds.numbers[0].fd : -1;
    char byte;

    if (fd < 0 || exchange_answered(&c->x) || conn_head_partly_sent(c) || !self.active)
        return false;
    bool arrived = real.ioctl(fd, TIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
    bool silent = real.recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
    errno = saved;
    return arrived && silent;
}

void trial_given_up(struct conn *c)
{
    if (c->trial == TRIAL_SECOND && was_ignored(c))
        evidence_note(&c->to, EVIDENCE_SILENT_ONCE);
    if (c->trial == TRIAL_CONTROL && was_ignored(c))
        evidence_forget(&c->to, EVIDENCE_SILENT_ONCE);
    trial_drop(c);
}

/* ---- is a connection to be kept? ---- */

/* Its end shows nothing where it comes without being asked for, too: a netcat loop ends behind each answer, and
 * listens again when the client has closed. */
static void look_whether_it_stays(const struct conn *c)
{
    if (c->x.request.one_shot && !evidence_has(&c->to, EVIDENCE_HEEDS_CLOSE) && ends_soon(c))
        evidence_note(&c->to, EVIDENCE_ALWAYS_CLOSES);
}

static enum reason judge_silent(const struct conn *c)
{
    if (c->x.status && evidence_note(&c->to, EVIDENCE_SILENT))
        look_whether_it_stays(c);
    if (persists(&c->to))
        return REASON_none;
    bool may_try = !c->x.request.one_shot && c->x.http11 && c->x.dated &&
                   !evidence_has(&c->to, EVIDENCE_IGNORES_CLOSE);
    return may_try ? REASON_none : REASON_unproven;
}

/* An answer came before all of the request had arrived: nobody knows whether the rest is read. */
static bool is_under_way(const struct conn *c)
{
    int saved = errno, unacknowledged = 0;

    bool yes = c->fds.count && real.ioctl(c->fds.numbers[0].fd, TIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0;
    errno = saved;
    return yes;
}

static enum reason judge_body(const struct conn *c)
{
    unsigned status = c->x.status;

    if (c->reused && c->idle.after_body && status >= 200 && status < 400)
        evidence_note(&c->to, EVIDENCE_BODY_OK);
    if (!c->x.request.body)
        return REASON_none;
    if (status >= 400)
        return REASON_error_behind_body;
    if (evidence_has(&c->to, EVIDENCE_UNEXPECTED_BYTES))
        return REASON_body_spoils;
    return is_under_way(c) ? REASON_request_unfinished : REASON_none;
}

enum reason trial_verdict(const struct conn *c)
{
    enum reason why = judge_body(c);

    if (why != REASON_none)
        return why;
    if (c->idle.requests + c->x.requests > 1 && is_good(c->x.status) && !refuses_second(c)) {
        note_reused(&c->to);
        return REASON_none;
    }
    if (c->x.promised)
        evidence_note(&c->to, EVIDENCE_SAID_SO);
    if (evidence_has(&c->to, EVIDENCE_REUSED))
        return REASON_none;
    if (evidence_has(&c->to, EVIDENCE_NEVER_SECOND))
        return REASON_never_second;
    return c->x.promised ? REASON_none : judge_silent(c);
}
