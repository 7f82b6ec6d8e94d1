#include "preload/life/fork.h"

#include "base/lock.h"
#include "pool/pool.h"
#include "preload/conn/conn.h"
#include "preload/fds/private.h"
#include "preload/share/shared.h"
#include "preload/conn/stall.h"
#include "preload/share/tally.h"

static struct lock *const locks[] = {
#define X(name) &name,
    FORK_LOCKS(X)
#undef X
};

enum { COUNT = sizeof locks / sizeof *locks };

/* Which ones the forking thread took: it may hold one already, if it forks in a signal handler. */
static __thread bool taken[COUNT];

void fork_locks_take(void)
{
    for (int i = 0; i < COUNT; i++)
        taken[i] = lock_take(locks[i]);
}

void fork_locks_give(void)
{
    for (int i = COUNT; i-- > 0;) {
        if (taken[i])
            lock_give(locks[i]);
        taken[i] = false;
    }
}

void fork_locks_reset(void)
{
    for (int i = 0; i < COUNT; i++) {
        lock_init(locks[i]);
        taken[i] = false;
    }
}
