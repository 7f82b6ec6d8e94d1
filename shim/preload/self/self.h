/* SPDX-License-Identifier: ISC */
/* self: facts about this process: its settings and name, what may still be done in it, whether this memory is its
 * own, its clocks.  Written at start and by the events in life/; read everywhere. */
#ifndef HOLDFAST_PRELOAD_SELF_H
#define HOLDFAST_PRELOAD_SELF_H

#include "base/config.h"
#include "base/lock.h"
#include "preload/self/vfork.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct self {
    struct config config;  /* its lists and paths are the environment's, which the program may write over: at start only */
    bool active;           /* set by the constructor, cleared by the destructor and by exit_retire, never set with
                              HOLDFAST=0: nothing new is tracked while it is false */
    bool tracks;           /* the same for new sockets; also cleared by rings_begin: the process has an io_uring */
    bool retired;          /* by exit_retire: for good */
    bool forked;           /* children may hold copies of the connections, which withhold the FIN of a close */
    atomic_bool threaded;  /* the program has made a thread, by a call that we see; read by self_alone alone */
    atomic_bool has_left;  /* the user of the process's start is nobody's here any more (life/user.h): what it connected
                              is not to be kept */
    char name[256];        /* the program's, as it was started */
};

extern struct self self;

/* In the constructor: reads the settings.  `secure`: the program has more rights than its caller. */
void self_start(bool secure);

/* False in a vfork child, which runs in its parent's memory: only real calls there. */
static inline bool self_is_ours(void)
{
    return __builtin_expect(!vfork_pending && *vfork_stamp, 1) ? true : vfork_check();
}

/* Is this the only thread of the process?  Nobody else sees then what is true for a moment.  libc has to say so
 * (base/lock.h), who knows of the threads that it makes itself; where it does not say (musl, glibc before 2.32), no process
 * counts as alone.  A thread made by clone(2), of which libc knows nothing, counts, too. */
static inline bool self_alone(void)
{
    return lock_alone() && !atomic_load_explicit(&self.threaded, memory_order_relaxed);
}

/* Milliseconds of the pool's clock, CLOCK_BOOTTIME: it goes on while the machine sleeps, as servers do. */
uint64_t self_now_ms(void);

/* A clock that costs less and ticks every few milliseconds: CLOCK_MONOTONIC_COARSE. */
uint64_t self_coarse_ms(void);

/* The same, in seconds. */
uint32_t self_coarse_s(void);

#endif
