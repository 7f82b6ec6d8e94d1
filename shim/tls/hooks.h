/* SPDX-License-Identifier: ISC */
/* hooks: the functions that modules get in the place of libssl's. */
#ifndef HOLDFAST_TLS_HOOKS_H
#define HOLDFAST_TLS_HOOKS_H

#include <stdbool.h>

typedef void (*hook_function)(void);

/* `name` is one of symbols.def: true, and *hook is ours, or NULL for what is not replaced. */
bool hooks_find(const char *name, hook_function *hook);

/* The same, of those that hooks.c has one by one. */
bool hooks_by_hand(const char *name, hook_function *hook);

/* Of those that only pass a call on, libssl's own are looked up. */
void hooks_load(void *(*lookup)(const char *name));

#endif
