/* SPDX-License-Identifier: ISC */
/* broker: how a command gets its share of what the user's broker has (pool/broker.h), and how a broker comes
 * to be where there is none. */
#ifndef HOLDFAST_LAUNCHER_BROKER_H
#define HOLDFAST_LAUNCHER_BROKER_H

#include "pool/tree.h"

#include <stdbool.h>

/* Fills `tree` with what the broker gives, under first to first + TREE_FDS - 1; without a broker with a tree
 * made here, of which a new broker gets its own copy.  False: neither, and nothing is left behind. */
bool broker_get(struct tree *tree, int first);

/* Only from a broker that runs. */
bool broker_get_running(struct tree *tree, int first, int wait_ms);

#endif
