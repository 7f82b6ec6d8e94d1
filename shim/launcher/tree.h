/* SPDX-License-Identifier: ISC */
/* tree: what the processes under a launcher share. */
#ifndef HOLDFAST_LAUNCHER_TREE_H
#define HOLDFAST_LAUNCHER_TREE_H

#include "base/config.h"
#include "pool/tree.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes the queues that COMMAND and its children leave their idle connections in, or with CONFIG_SHARE_USER
 * gets those of the user's broker, and names them in the environment, unless there are such already.  Where
 * that is impossible, each process keeps its own, and false is returned.  `path`: COMMAND's file: one that will not load
 * the library does not inherit them. */
bool tree_prepare(enum config_share share, const char *path);

/* The tree that this process was handed, copied to other numbers, where nothing hides it; false: none. */
bool tree_reach(struct tree *tree);

/* Copies what process `pid` has under `from` to from + TREE_FDS - 1 to other numbers, which `tree`, whose token says
 * what the queues are called, has then.  False: nothing could be copied (ptrace(2), PTRACE_MODE_ATTACH). */
bool tree_copy(struct tree *tree, pid_t pid, int from);

uint64_t tree_now_ms(void); /* the clock of idle connections */

/* Numbers for another one, with the limit raised for as long as `act` runs; false: none, or it failed. */
bool tree_with_numbers(bool (*act)(void *arg, int first), void *arg);

#endif
