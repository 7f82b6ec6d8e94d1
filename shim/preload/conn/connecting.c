/* SPDX-License-Identifier: ISC */
#include "preload/conn/connecting.h"

#include "preload/conn/event.h"
#include "preload/self/choice.h"
#include "preload/share/evidence.h"
#include "preload/fds/device.h"
#include "preload/self/identity.h"
#include "preload/self/listeners.h"
#include "preload/share/idle.h"
#include "preload/conn/deferred.h"
#include "preload/self/self.h"
#include "preload/share/shared.h"
#include "preload/conn/swap.h"
#include "preload/conn/parking.h"

#include <errno.h>
#include <string.h>

/* The kernel refuses such an address before it looks at the socket. */
bool connecting_is_bad(const struct sockaddr *to, socklen_t len)
{
    return !to || len < sizeof to->sa_family || len > sizeof(struct sockaddr_storage);
}

bool connecting_is_nowhere(const struct sockaddr *to, socklen_t len)
{
    return to && len >= sizeof to->sa_family && to->sa_family == AF_UNSPEC;
}

static enum reason left_alone(const struct endpoint *to)
{
    if (choice_leaves_endpoint(to))
        return REASON_excluded;
    return listeners_has(to) ? REASON_own_server : REASON_none;
}

int connecting_lease(struct conn *c, const struct sockaddr *to, socklen_t len)
{
    const struct endpoint made = c->to; /* socket(2) */

    if (connecting_is_bad(to, len) || endpoint_from(&c->to, to, len) != 0 ||
        c->to.family != made.family || c->copied) {
        conn_bypass(c, c->unparkable);
        return CONN_PLAIN;
    }
    conn_event(c, EVENT_CONNECT, REASON_none);
    enum reason why = left_alone(&c->to);
    if (why != REASON_none) {
        conn_event(c, EVENT_OPENED, REASON_none);
        conn_bypass(c, why);
        return CONN_PLAIN;
    }
    c->peer_len = len < sizeof c->peer ? len : sizeof c->peer; /* the rest means nothing */
    memcpy(&c->peer, to, c->peer_len);
    c->to.options = options_hash(&c->options) + device_hash(&c->options, c->fds.numbers[0].fd);
    if (!identity_key(&c->to, &made, c->fds.numbers[0].fd)) {
        conn_event(c, EVENT_OPENED, REASON_none);
        conn_bypass(c, REASON_other_user);
        return CONN_PLAIN;
    }
    conn_event(c, EVENT_ASKED_POOL, REASON_none);
    evidence_refresh();
    shared_note_connect();
    return swap_lease(c) == 0 ? 0 : CONN_PLAIN;
}

void connecting_fresh(struct conn *c)
{
    parking_touch(c);
    c->idle.opened_ms = self_now_ms();
    conn_event(c, EVENT_BEGUN, REASON_none);
    conn_set_state(c, CONN_FRESH);
}

static bool is_pending(int error)
{
    return error == EINPROGRESS || error == EINTR;
}

void connecting_begun(struct conn *c, int error)
{
    conn_event(c, EVENT_OPENED, REASON_none);
    c->opening.connect_pending = is_pending(error);
    if (error == 0 || c->opening.connect_pending)
        return;
    conn_event(c, EVENT_FAILED, REASON_none);
    if (error == EISCONN || error == EALREADY) /* the program has connected it where we did not see it */
        conn_bypass(c, REASON_odd_descriptor);
    else if (c->state == CONN_FRESH && c->fds.count)
        conn_set_state(c, CONN_NEW_TOUCHED);
}

void connecting_asked(struct conn *c, const struct sockaddr *to, socklen_t len, int error)
{
    if (conn_is_new(c) || connecting_is_bad(to, len)) /* AF_UNSPEC on what is not connected has no effect, either */
        return;
    if (error == 0)
        c->opening.connect_pending = false;
    else if (error != EALREADY && error != EISCONN && error != EINTR)
        conn_bypass(c, REASON_odd_descriptor);
}

void connecting_send_failed(struct conn *c, int error)
{
    if (c->state != CONN_FRESH || c->request.by_send < BY_SEND_CLIENTS_OWN)
        return;
    c->request.by_send = BY_SEND_NO;
    c->opening.connect_pending = is_pending(-error);
    if (c->opening.connect_pending)
        return;
    if (hold_len(&c->request.bytes))
        conn_bypass(c, REASON_odd_descriptor);
    else if (c->fds.count)
        conn_set_state(c, CONN_NEW_TOUCHED);
}
