#define _GNU_SOURCE
#include "preload/conn/after_body.h"

#include "preload/share/evidence.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <sys/ioctl.h>

enum reason after_body_begin(struct conn *c, bool idempotent)
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

/* An answer came before all of the request had arrived: nobody knows whether the rest is read. */
static bool is_under_way(const struct conn *c)
{
    int saved = errno, unacknowledged = 0;

    bool yes = c->fds.count && real.ioctl(c->fds.numbers[0].fd, TIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0;
    errno = saved;
    return yes;
}

enum reason after_body_verdict(const struct conn *c)
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
