#define _GNU_SOURCE
#include "preload/refused.h"

#include "pool/pool.h"
#include "preload/idle.h"
#include "preload/owed.h"
#include "preload/real.h"
#include "preload/shared.h"

#include <errno.h>
#include <time.h>

enum { AGAIN_MS = 100 };

int refused_again(const struct endpoint *to, bool gave_up, int fd, const struct sockaddr *name, socklen_t len)
{
    const struct timespec nap = { 0, 4000000 };
    uint64_t until = idle_now_ms() + AGAIN_MS;
    int result = -1;

    owed_settle_all();
    if (pool_release_place(to) + shared_release_place(to) == 0 && !gave_up) {
        errno = ECONNREFUSED;
        return -1;
    }
    do {
        real.nanosleep(&nap, NULL);
        result = real.connect(fd, name, len);
    } while (result != 0 && errno == ECONNREFUSED && idle_now_ms() < until);
    return result;
}
