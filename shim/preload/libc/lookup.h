/* SPDX-License-Identifier: ISC */
/* lookup: dlsym(RTLD_NEXT, ...) for a hundred symbols at once, at start, without its lock, its allocations and
 * most of its cost: the hash tables of the objects that were loaded behind this one are read in their order.
 * What is not plain there is left to dlsym. */
#ifndef HOLDFAST_PRELOAD_LOOKUP_H
#define HOLDFAST_PRELOAD_LOOKUP_H

/* Looks at what is loaded; lookup_next gives nothing before that. */
void lookup_begin(void);

/* The function of that name, or NULL: ask dlsym. */
void *lookup_next(const char *name);

#endif
