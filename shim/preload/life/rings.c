/* SPDX-License-Identifier: ISC */
#include "preload/life/rings.h"

#include "base/log.h"
#include "pool/pool.h"
#include "preload/conn/deferred.h"
#include "preload/conn/swap.h"
#include "preload/fds/private.h"
#include "preload/fds/spare.h"
#include "preload/self/self.h"
#include "preload/share/shared.h"
#include "preload/wire/closing.h"

#include <errno.h>
#include <string.h>

/* What a lease left behind may break at any moment, and nobody would see to it. */
static void give_lease_back(struct conn *c)
{
    if (conn_is_leased(c) && !hold_len(&c->request.bytes))
        swap_rehome(c, true);
}

static void leave(struct conn *c)
{
    struct conn *entered = c->fds.count ? conn_enter(c->fds.numbers[0].fd, NEED_ALL) : NULL;

    if (!entered)
        return;
    give_lease_back(entered);
    if (entered->fds.count)
        closing_share(entered, entered->fds.numbers[0].fd, REASON_ring);
    conn_leave(entered);
}

void rings_begin(void)
{
    int saved = errno;

    if (!self.tracks || !self_is_ours())
        return;
    self.tracks = false;
    log_printf("%s: has an io_uring, or calls aio_read: its sockets are left alone from here on", self.name);
    deferred_apply_all();
    conn_each(leave);
    shared_give_all();
    spare_abandon();
    pool_shed(private_limit());
    errno = saved;
}

void rings_look_at_library(const char *file)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    const char *name = slash ? slash + 1 : file;

    if (name && strncmp(name, "liburing", strlen("liburing")) == 0)
        rings_begin();
}
