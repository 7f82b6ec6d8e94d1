/* SPDX-License-Identifier: ISC */
/* release: sends what was withheld (preload/conn/withheld.h).  Of a locked conn. */
#ifndef HOLDFAST_PRELOAD_RELEASE_H
#define HOLDFAST_PRELOAD_RELEASE_H

#include "preload/conn/withheld.h"

/* FRESH, LEASED: all of it, as it is, because it is no request, or will never be a whole one.  A LEASED conn is
 * re-homed first.  0 or -errno. */
int release_all(struct conn *c, int fd);

/* The same before a close, a half-close or fdopen.  If a send was to connect (by_send) and nothing was withheld, connects. */
int release_held(struct conn *c, int fd);

/* The client waits for an answer: sends what is withheld.  FRESH, LEASED: as far as it can still be adapted
 * afterwards; else libc alone has the socket then.  0 or -errno. */
int release_some(struct conn *c, int fd);

/* Before a receive that blocks: waits until there is something, or what is withheld is due, and then releases it. */
void release_wait(struct conn *c, int fd);

/* Not locked.  What a wait does when something is due. */
static inline void release_due(void)
{
    withheld_each_due(release_some);
}

#endif
