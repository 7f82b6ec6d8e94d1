/* SPDX-License-Identifier: ISC */
/* tally: what this process has counted (base/stats.h), added to the board that it shares with others, for
 * `holdfast --status`.  The board is mapped when there is something to add, and not before. */
#ifndef HOLDFAST_PRELOAD_TALLY_H
#define HOLDFAST_PRELOAD_TALLY_H

#include "pool/board.h"

#include <stdbool.h>

/* Once the tree is there: where its board is, a private fd. */
void tally_start(int fd);

/* Adds what is new since the last time: `now`, or where that is a while ago. */
void tally(bool now);

/* Held while something is added (base/lock_order.h). */
struct lock;
extern struct lock tally_adding;

/* NULL: none. */
struct board *tally_board(void);

/* The board is another user's from now on: it is not mapped any more.  What other threads read in that moment
 * and later are zeros, and what they write is seen by nobody. */
void tally_end(void);

#endif
