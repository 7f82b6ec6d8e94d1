/* inherited: the tree's queues, as this process got them. */
#ifndef HOLDFAST_PRELOAD_INHERITED_H
#define HOLDFAST_PRELOAD_INHERITED_H

#include "pool/tree.h"

#include <stdbool.h>

/* In the constructor: finds the queues that the environment names, and hides them from the program.  Those
 * that were closed on the way are fetched from the parent, where it has them and the kernel lets us.  Where they
 * are another user's, this process and its children get a tree of their own in their place.  False: none. */
bool inherited_find(struct tree *tree, const struct tree_calls *calls);

#endif
