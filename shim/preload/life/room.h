/* SPDX-License-Identifier: ISC */
/* room: memory that a departure needs while it lasts, and that does not lie on the caller's stack: threads and coroutines
 * have small ones, and an environment has thousands of entries (Kubernetes' service links).
 *
 * A vfork child runs in the memory of its parent.  What it took and did not return, because another program has taken its
 * place, is returned by the next departure of the parent's thread. */
#ifndef HOLDFAST_PRELOAD_ROOM_H
#define HOLDFAST_PRELOAD_ROOM_H

#include <stddef.h>

/* What the thread has taken until now. */
const void *room_mark(void);

/* Zeroed; NULL: there is no memory.  errno is left alone. */
void *room_take(size_t size);

/* Returns what this thread has taken since then.  errno is left alone. */
void room_return(const void *mark);

#endif
