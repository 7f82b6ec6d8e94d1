/* SPDX-License-Identifier: ISC */
#include "preload/life/user.h"

#include "pool/pool.h"
#include "preload/conn/conn.h"
#include "preload/conn/deferred.h"
#include "preload/fds/private.h"
#include "preload/fds/spare.h"
#include "preload/self/identity.h"
#include "preload/self/self.h"
#include "preload/share/shared.h"

#include <errno.h>

void user_settle_spare(struct conn *c)
{
    struct conn *entered = c->state == CONN_NEW_UNREADY && c->fds.count ? conn_enter(c->fds.numbers[0].fd, NEED_ALL) : NULL;

    if (entered)
        conn_leave(entered);
}

void user_leave_home(void)
{
    atomic_store(&self.has_left, true);
    shared_renounce();
    deferred_apply_all();
    pool_shed(private_limit());
    spare_abandon();
}

/* A spare that was handed out becomes what the client believes it is, while a socket that is made for that is
 * made where the client was. */
void user_changing(unsigned kinds)
{
    int saved = errno;

    if (kinds && self_is_ours()) {
        conn_each(user_settle_spare);
        identity_changed(kinds);
    }
    errno = saved;
}

void user_changed(unsigned kinds, bool succeeded, bool everywhere)
{
    int saved = errno;

    if (kinds && !self_is_ours()) {
        if (succeeded && (kinds & IDENTITY_USER_NAMESPACE || (kinds & IDENTITY_USER && identity_is_foreign())))
            shared_close_copies();
    } else if (kinds) {
        identity_changed(kinds);
        spare_abandon();
        if (succeeded && kinds != IDENTITY_NETWORK && identity_has_left(everywhere))
            user_leave_home();
    }
    errno = saved;
}
