/* SPDX-License-Identifier: ISC */
#include "preload/wire/secured.h"

#include "preload/conn/event.h"
#include "preload/conn/parking.h"
#include "preload/conn/path.h"
#include "preload/conn/swap.h"
#include "preload/conn/trial.h"
#include "preload/self/choice.h"
#include "preload/self/self.h"
#include "preload/share/evidence.h"
#include "preload/share/idle.h"
#include "preload/wire/dialect.h"

#include <errno.h>
#include <string.h>

bool secured_begin(const struct secure_kept *calls)
{
    if (!self.active || self.config.tls != CONFIG_TLS_REUSE)
        return false;
    idle_set_kept(calls);
    return true;
}

/* Where the settings go by the name of a server, only its request tells it, and that comes too late. */
static struct conn *enter(int fd)
{
    if (!self.active || choice_goes_by_name())
        return NULL;
    return conn_enter(fd, NEED_ALL);
}

/* What `enter` has given, or NULL. */
static void leave(struct conn *c, int saved)
{
    if (c)
        conn_leave(c);
    errno = saved;
}

static bool can_be_followed(const struct conn *c)
{
    return c->fds.count && !c->copied && !c->use.inside && !c->use.reconnecting && !hold_len(&c->request.bytes) &&
           c->request.by_send == BY_SEND_NO;
}

enum secure_found secured_find(int fd, void **kept)
{
    int saved = errno;
    struct conn *c = enter(fd);
    enum secure_found found = SECURE_NOTHING;

    if (c && can_be_followed(c) && conn_is_leased(c)) {
        idle_hold_kept(&c->idle);
        *kept = c->idle.secured ? c->idle.kept : NULL;
        found = *kept ? SECURE_IDLE : SECURE_OWN;
    } else if (c && can_be_followed(c) && c->state == CONN_FRESH) {
        found = SECURE_OWN;
    }
    leave(c, saved);
    return found;
}

static __thread struct {
    const void *bytes; /* NULL: nothing is expected */
    size_t len;
    int fd;
} awaited;

void secured_expect(const void *bytes, size_t len)
{
    awaited.bytes = bytes;
    awaited.len = len;
    awaited.fd = -1;
}

int secured_expected(void)
{
    awaited.bytes = NULL;
    return awaited.fd;
}

bool secured_keeps_back(struct conn *c, int fd, const struct iovec *iov, int n)
{
    if (!awaited.bytes || awaited.fd >= 0 || !c->nonblocking || !can_be_followed(c) || n != 1 ||
        iov->iov_len != awaited.len || memcmp(iov->iov_base, awaited.bytes, awaited.len) != 0)
        return false;
    exchange_init(&c->x);
    awaited.fd = fd;
    return true;
}

static void settle(struct conn *c)
{
    exchange_init(&c->x);
    conn_set_state(c, CONN_SECURED);
    c->registrations.watched = false;
}

bool secured_take(int fd, void *kept)
{
    int saved = errno;
    struct conn *c = enter(fd);
    bool taken = false;

    if (c && can_be_followed(c) && conn_is_leased(c) && c->idle.secured && c->idle.kept == kept && parking_second_look(c) == REASON_none) {
        c->idle.secured = false;
        settle(c);
        taken = true;
    }
    leave(c, saved);
    return taken;
}

int secured_own(int fd)
{
    int saved = errno;
    struct conn *c = enter(fd);
    int result = -ENOTSUP;

    if (c && can_be_followed(c) && conn_is_leased(c))
        result = swap_rehome_connecting(c, parking_second_look(c) == REASON_none);
    else if (c && can_be_followed(c) && c->state == CONN_FRESH)
        result = 0;
    if (result == 0 && c->fds.count && c->state == CONN_FRESH)
        settle(c);
    else if (result == 0)
        result = -ENOTSUP;
    leave(c, saved);
    return result;
}

/* Why a request that could be read is not adapted. */
static enum reason objection(const struct conn *c)
{
    const struct request *request = &c->x.request;

    if (!request->one_shot)
        return REASON_tls; /* it is not followed from one request to the next */
    if (request->minor == 0 && !self.config.upgrade)
        return REASON_no_upgrade;
    if (!request->has_host)
        return REASON_no_host;
    if (c->copied)
        return REASON_duplicated;
    if (request->minor == 0 && !evidence_has(&c->to, EVIDENCE_HTTP11_OK)) /* nothing is sent twice for that */
        return REASON_version_unproven;
    return dialect_objection(c);
}

/* Taken: why the request wants a connection of its own.  Only what can be sent again without a doubt goes out here. */
static enum reason objection_to_lease(struct conn *c)
{
    const struct request *request = &c->x.request;
    const struct trial_request trial = { .idempotent = request->idempotent };

    if (!request->one_shot)
        return REASON_client_persists;
    if (!request->idempotent || request->body)
        return REASON_unsafe_method;
    enum reason why = idle_reason(idle_look(c->fds.numbers[0].fd));
    return why == REASON_none ? trial_begin(c, trial) : why;
}

static enum secure_request judge(struct conn *c)
{
    enum reason why = objection(c);

    conn_event(c, EVENT_REQUEST, REASON_none);
    if (why == REASON_none && c->reused) {
        why = objection_to_lease(c);
        if (why != REASON_none) {
            conn_event(c, EVENT_REASON, why);
            return SECURE_REPLACE;
        }
    } else if (why != REASON_none && c->reused) {
        conn_event(c, EVENT_REASON, why);
        return SECURE_REPLACE;
    } else if (why == REASON_none) {
        trial_choose(c);
        if (c->trial == TRIAL_CLOSE || trial_goes_unchanged(c))
            why = REASON_unproven;
    }
    if (why == REASON_none) {
        conn_event(c, EVENT_ADAPTED, REASON_none);
        return SECURE_ADAPT;
    }
    trial_drop(c);
    conn_event(c, EVENT_DIRECT, REASON_none);
    conn_event(c, EVENT_REASON, why);
    conn_forbid_parking(c, why);
    return SECURE_PASS;
}

enum secure_request secured_request(int fd, const struct exchange *x)
{
    int saved = errno;
    struct conn *c = conn_enter(fd, NEED_ALL);
    enum secure_request answer = SECURE_PASS;

    if (c && conn_is_secured(c) && c->fds.count) {
        c->x = *x;
        answer = judge(c);
    }
    leave(c, saved);
    return answer;
}

void secured_pass(int fd)
{
    int saved = errno;
    struct conn *c = conn_enter(fd, NEED_AS_IS);

    if (c && conn_is_secured(c)) {
        conn_event(c, EVENT_DIRECT, REASON_none);
        conn_event(c, EVENT_REASON, REASON_tls);
        conn_forbid_parking(c, REASON_tls);
    }
    leave(c, saved);
}

int secured_replace(int fd)
{
    int saved = errno;
    struct conn *c = conn_enter(fd, NEED_ALL);
    int result = -ECONNRESET;

    if (c && conn_is_secured(c) && c->fds.count && !c->copied) {
        if (c->trial == TRIAL_SECOND)
            trial_failed(c);
        result = swap_rehome_connecting(c, false);
    }
    leave(c, saved);
    return result;
}

void secured_answered(int fd, const struct exchange *x)
{
    int saved = errno;
    struct conn *c = conn_enter(fd, NEED_AS_IS);

    if (c && conn_is_secured(c) && c->fds.count) {
        c->x = *x;
        path_answered(c, false);
        if (!c->reused)
            dialect_learn(c);
        trial_look(c);
        /* It may stay open, and TLS has no half of an end to ask for the other by: the next ones go out as they are. */
        if (exchange_verdict(&c->x) == REASON_no_length)
            evidence_note(&c->to, EVIDENCE_OPEN_ENDED);
        conn_recount(c);
    }
    leave(c, saved);
}

void secured_end(int fd, const struct exchange *x, uint64_t key, void *kept)
{
    int saved = errno;
    struct conn *c = conn_enter(fd, NEED_AS_IS);
    struct idle nobody = { .secured = kept != NULL, .kept = kept };

    if (c && conn_is_secured(c) && c->fds.count) {
        c->x = *x;
        c->x.request.host = key;
        c->x.request.proxy_auth = (uintptr_t)kept;
        c->x.request.absolute = false;
        c->idle.secured = nobody.secured;
        c->idle.kept = kept;
        nobody.secured = false;
        if (!kept)
            conn_forbid_parking(c, REASON_tls);
        swap_end(c);
    }
    idle_forget_kept(&nobody);
    leave(c, saved);
}

void secured_speaks11(int fd)
{
    int saved = errno;
    struct conn *c = conn_enter(fd, NEED_AS_IS);

    if (c && conn_is_secured(c))
        evidence_note(&c->to, EVIDENCE_HTTP11_OK);
    leave(c, saved);
}
