#define _GNU_SOURCE
#include "preload/provisional.h"

#include "http/opening.h"
#include "preload/incoming.h"
#include "preload/outgoing.h"
#include "preload/path.h"
#include "preload/process.h"
#include "preload/real.h"
#include "preload/swap.h"

#include <errno.h>

int provisional_judge(struct conn *c, struct slice bytes, size_t taken)
{
    unsigned status;

    (void)taken;
    switch (opening_read(bytes.data, bytes.len, c->x.request.head_method, &status)) {
    case OPENING_MORE:
        return 0;
    case OPENING_FOREIGN:
        conn_note(c, REASON_poisoned);
        pool_note_closed(&c->to, 0);
        return (int)incoming_foreign(c);
    case OPENING_DOUBTFUL:
    case OPENING_ANSWER:
        break;
    }
    hold_clear(&c->request); /* the time for a replay is over */
    return 1;
}

/* Nothing has come that is the client's. */
static bool waits(const struct conn *c)
{
    if (c->nfds == 0 || c->homing || !conn_owns(c, c->fds[0].fd))
        return false;
    return c->state == CONN_LEASED || ((c->state == CONN_EXCHANGE || c->state == CONN_OBSERVED) && provisional_is(c) &&
                                       !hold_len(&c->response) && !c->given);
}

/* The kernel tells an error once: a receive gets it from here if nothing can be done. */
bool provisional_is_dead(struct conn *c)
{
    int saved = errno;
    char byte;

    if (!waits(c))
        return false;
    ssize_t n = real.recv(c->fds[0].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    bool dead = n == 0 || (n < 0 && (incoming_is_end(-errno) || path_is_broken(c, errno)));
    if (n < 0 && dead && c->state != CONN_LEASED)
        c->receive_error = errno;
    errno = saved;
    return dead;
}

int provisional_mend(struct conn *c)
{
    int saved = errno, result;

    if (!process_is_ours()) {
        result = -ENOTSUP;
    } else if (c->state == CONN_LEASED) {
        conn_settle_but_end(c);
        result = c->shared ? -ENOTSUP : swap_rehome_at_once(c);
        if (result == 0)
            conn_note(c, REASON_stale);
    } else {
        result = outgoing_replay_at_once(c);
        if (result == 0 || result != -ENOTSUP)
            c->receive_error = -result;
    }
    errno = saved;
    return result;
}
