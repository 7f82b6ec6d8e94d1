#include "preload/connecting.h"

#include "base/stats.h"
#include "preload/choice.h"
#include "preload/identity.h"
#include "preload/private.h"
#include "preload/idle.h"
#include "preload/process.h"
#include "preload/shared.h"
#include "preload/swap.h"
#include "preload/tracing.h"

#include <string.h>

int connecting_lease(struct conn *c, const struct sockaddr *to, socklen_t len)
{
    const struct endpoint made = c->to; /* socket(2) */

    if (to && len >= sizeof to->sa_family && to->sa_family == AF_UNSPEC)
        return CONN_PLAIN;
    if (!to || len > sizeof(struct sockaddr_storage) || endpoint_from(&c->to, to, len) != 0 ||
        c->to.family != made.family || c->shared) {
        conn_forget(c, c->unparkable);
        return CONN_PLAIN;
    }
    tracing_note(c, TRACE_connect);
    if (choice_leaves_endpoint(&c->to)) {
        tracing_note(c, TRACE_open);
        conn_forget(c, REASON_excluded);
        return CONN_PLAIN;
    }
    c->peer_len = len < sizeof c->peer ? len : sizeof c->peer; /* the rest means nothing */
    memcpy(&c->peer, to, c->peer_len);
    c->to.options = options_hash(&c->options);
    if (!identity_key(&c->to, &made, c->fds[0].fd)) {
        tracing_note(c, TRACE_open);
        conn_forget(c, REASON_other_user);
        return CONN_PLAIN;
    }
    stats_count(connects);
    shared_note_connect();
    return swap_lease(c) == 0 ? 0 : CONN_PLAIN;
}

void connecting_fresh(struct conn *c)
{
    spare_settle(c);
    private_close(c->private_fd); /* a spare that is used is none */
    c->private_fd = -1;
    c->idle.opened_ms = idle_now_ms();
    stats_count(fresh);
    conn_set_state(c, CONN_FRESH);
}

bool connecting_by_send(struct conn *c, const struct sockaddr *to, socklen_t len)
{
    if (connecting_lease(c, to, len) == 0)
        return true;
    if (c->nfds == 0)
        return false;
    connecting_fresh(c);
    tracing_note(c, TRACE_open);
    c->fastopen = c->client_fastopen = true;
    return true;
}
