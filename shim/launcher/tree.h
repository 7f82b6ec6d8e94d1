/* tree: what the processes under a launcher share. */
#ifndef HOLDFAST_LAUNCHER_TREE_H
#define HOLDFAST_LAUNCHER_TREE_H

#include "base/config.h"
#include "pool/tree.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes the queues that COMMAND and its children leave their idle connections in, or with CONFIG_SHARE_USER
 * gets those of the user's broker, and names them in the environment, unless there are such already.  Where
 * that is impossible, each process keeps its own.  `path`: COMMAND's file: one that will not load the library
 * does not inherit them. */
void tree_prepare(enum config_share share, const char *path);

/* The tree that this process was handed, copied to other numbers, where nothing hides it; false: none. */
bool tree_reach(struct tree *tree);

uint64_t tree_now_ms(void); /* the clock of idle connections */

/* Numbers for another one, with the limit raised for as long as `act` runs; false: none, or it failed. */
bool tree_with_numbers(bool (*act)(void *arg, int first), void *arg);

#endif
