/* SPDX-License-Identifier: ISC */
/* list: settings that are several words with commas between them.  Pure. */
#ifndef HOLDFAST_BASE_LIST_H
#define HOLDFAST_BASE_LIST_H

#include "base/slice.h"

/* Cuts the next element off `*rest`, without the blanks around it; it may be empty.  False: that was all.
 * An empty list has no element; "a," has two. */
bool list_next(struct slice *rest, struct slice *element);

/* Names of programs, without a directory.  False: *bad is the element that is none; it may be empty. */
bool list_check_commands(const char *text, struct slice *bad);

bool list_has(const char *text, const char *word);

#endif
