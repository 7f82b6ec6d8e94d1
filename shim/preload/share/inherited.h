/* SPDX-License-Identifier: ISC */
/* inherited: the tree, as this process got it. */
#ifndef HOLDFAST_PRELOAD_INHERITED_H
#define HOLDFAST_PRELOAD_INHERITED_H

#include "pool/tree.h"

#include <stdbool.h>

/* Where a broker would be found, by the environment as it is now. */
void inherited_note_place(void);

/* Gets a tree of the user's broker for a process that was handed none; bounded.  Its children do not inherit
 * it.  False: there is no broker, or it did not answer. */
bool inherited_join(struct tree *tree, const struct tree_calls *calls);

/* In the constructor: finds the queues that the environment names, and hides them from the program.  Those
 * that were closed on the way are fetched from the parent, where it has them and the kernel lets us.  Where they
 * are another user's, this process and its children get a tree of their own in their place.  False: none. */
bool inherited_find(struct tree *tree, const struct tree_calls *calls);

#endif
