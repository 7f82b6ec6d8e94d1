/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/conn/refused.h"

#include "pool/pool.h"
#include "preload/share/evidence.h"
#include "preload/conn/deferred.h"
#include "preload/libc/real.h"
#include "preload/share/shared.h"
#include "preload/self/self.h"

#include <errno.h>
#include <time.h>

enum { AGAIN_MS = 100 };

void refused_forget(const struct endpoint *to)
{
    static const enum evidence proofs[] = { EVIDENCE_SAID_SO, EVIDENCE_HEEDS_CLOSE, EVIDENCE_REUSED, EVIDENCE_SILENT,
                                            EVIDENCE_HTTP11_OK, EVIDENCE_BODY_OK };
    int saved = errno;

    for (unsigned i = 0; i < sizeof proofs / sizeof proofs[0]; i++)
        evidence_forget(to, proofs[i]);
    errno = saved;
}

int refused_again(const struct endpoint *to, bool gave_up, int fd, const struct sockaddr *name, socklen_t len)
{
    const struct timespec nap = { 0, 4000000 };
    uint64_t until = self_now_ms() + AGAIN_MS;
    int result = -1;

    deferred_apply_all();
    if (pool_release_place(to) + shared_release_place(to) == 0 && !gave_up) {
        errno = ECONNREFUSED;
        return -1;
    }
    do {
        real.nanosleep(&nap, NULL);
        result = real.connect(fd, name, len);
    } while (result != 0 && errno == ECONNREFUSED && self_now_ms() < until);
    return result;
}
