/* SPDX-License-Identifier: ISC */
/* waiting: how a process waits.  What the kernel says of readiness is true and passes as it is (but see readiness.h); but a
 * process that waits for long has no use for the idle connections that it kept, and others may; and what it waits for may
 * be a server that serves one connection at a time (stall.h), an answer whose end alone it is told of (endwait.h), or an
 * answer to what is withheld (withheld.h).  Only then is a wait split: into turns, and after each in which nothing has
 * happened something is let go.  What is ready already needs no splitting: a look comes before.
 *
 * A signal that came between two turns of a wait would interrupt neither.  So signals are held over all, and let
 * through by the turns themselves, which the kernel does in one step. */
#ifndef HOLDFAST_PRELOAD_WAITING_H
#define HOLDFAST_PRELOAD_WAITING_H

#include "preload/wire/readiness.h"

/* A wait that is not longer is never split. */
enum { WAITING_SHORT_MS = 20 };

/* No conn is locked when these are called. */

/* Is there anything for which a wait is more than libc's call? */
bool waiting_is_special(void);

/* Is a wait for `time` (NULL: for ever) so long that idle connections are let go?  A time that the kernel will refuse is
 * not. */
bool waiting_is_long(const struct timespec *time);

/* The whole wait, as readiness_wait: in turns, if there is something to let go. */
int waiting_for(struct wait *w, const struct timespec *time, const sigset_t *mask);

/* Before a sleep, which is not split.  Leaves idle connections to other processes.  True: a handler ran for a signal that came
 * meanwhile, so the sleep is over. */
bool waiting_interrupted(void);

#endif
