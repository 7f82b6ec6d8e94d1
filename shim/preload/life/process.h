/* process: what belongs to the process as a whole: settings, the pid, start, fork and exit. */
#ifndef HOLDFAST_PRELOAD_PROCESS_H
#define HOLDFAST_PRELOAD_PROCESS_H

#include "base/config.h"
#include "preload/self/vfork.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Its lists and paths are the environment's, which the program may write over: at start only. */
extern struct config process_config;

/* The program's name, as it was started. */
extern char process_name[256];

/* False until the constructor has run, after the destructor has, and with HOLDFAST=0: nothing new is
 * tracked then. */
extern bool process_active;

/* In the child of a fork: its copies of what belongs to the parent are given up.  process_born: of a fork past
 * libc, which may have changed user and place with it. */
void process_mend(void);
void process_born(void);

/* False in a vfork child, which runs in its parent's memory: only real calls there. */
static inline bool process_is_ours(void)
{
    return vfork_is_owner(process_born);
}

/* Around a call by which this thread, or the process (`everywhere`), gets another user or another place: `kinds`
 * of enum identity_kind.  What was connected before stays, under its own key (preload/self/identity.h).  If nobody
 * here can become the user again that the process had at its start, nothing of his stays: queues, board,
 * broker's line, idle connections and spares are given up.  errno is left alone. */
void process_moving(unsigned kinds);
void process_moved(unsigned kinds, bool succeeded, bool everywhere);

/* That has happened: what its start's user connected is not to be kept. */
extern atomic_bool process_has_left;

/* The program has made a thread. */
extern atomic_bool process_threaded;

/* Around a fork; process_mend is the child's. */
void process_before_fork(void);
void process_after_fork(void);

/* Another program gets what is not close-on-exec, without a fork that we would see: the connections
 * under such fds are shared with it from now on; `all`: whatever the flag says. */
void process_spawned(bool all);

/* No more pooling from here on: a filter of system calls is being installed.  Idle connections are
 * closed now; exchanges in progress end without a swap. */
void process_retire(void);
extern bool process_retired;

/* The process ends now: statistics are written.  Once. */
void process_exit(void);

#endif
