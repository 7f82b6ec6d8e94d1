/* SPDX-License-Identifier: ISC */
#include "tls/park.h"

#include "tls/services.h"
#include "tls/hello.h"
#include "tls/reach.h"

#include <unistd.h>

/* May another client of this process use it?  Where a session was resumed, nothing was proved on this connection. */
static bool is_fit(const struct record *r)
{
    struct ssl *speaker = record_speaker(r);

    return !r->unfit && r->key.data && r->pid == getpid() && reach_is_on() && !real.SSL_has_pending(speaker) &&
           real.SSL_ctrl(speaker, CTRL_NUM_RENEGOTIATIONS, 0, NULL) == 0 && real.SSL_get_shutdown(speaker) == 0 &&
           !real.SSL_session_reused(speaker);
}

void park_end(struct record *r, bool persists)
{
    bool fit = persists && is_fit(r);
    uint64_t key = fit ? hello_hash(&r->key) : 0;
    struct kept *kept = NULL;

    if (fit && !r->kept)
        r->kept = kept_create(r->s, &r->key);
    if (fit && r->kept) {
        kept = r->kept;
        kept->host = r->x.request.host;
        kept_to_pool(kept);
        real.SSL_set_options(kept->s, OP_NO_RENEGOTIATION); /* another certificate would be nobody's to judge */
    }
    record_set_state(r, RECORD_ENDED);
    holdfast_secure.end(r->fd, &r->x, key, kept);
}
