/* SPDX-License-Identifier: ISC */
/* vfork: knowing, without a system call, that this code does not run in a vfork child, which borrows
 * its parent's memory and must not change our state; nor in a child of a fork that passed no handler
 * (_Fork, raw clone). */
#ifndef HOLDFAST_PRELOAD_VFORK_H
#define HOLDFAST_PRELOAD_VFORK_H

#include <stdbool.h>
#include <sys/types.h>

/* Set between a vfork of this thread and the first look afterwards. */
extern __thread bool vfork_pending;

/* 1; the kernel makes it 0 in the child of every fork (MADV_WIPEONFORK). */
extern volatile unsigned *vfork_stamp;

/* `before` is called before each vfork; `repair` in the child of a fork that passed no handler, when it is first
 * looked at. */
void vfork_init(void (*before)(void), void (*repair)(void));

/* Instead of vfork_init where the library does nothing (HOLDFAST=0): there is no state of ours that a child could
 * change, so nobody asks the kernel. */
void vfork_ask_nobody(void);

/* Before a vfork of another kind (clone(2) with CLONE_VM and CLONE_VFORK). */
void vfork_begin(void);

/* Stamps this process as the owner of our state: at start, and in a child whose state was repaired. */
void vfork_own(void);

/* Where vfork_pending is set or *vfork_stamp is 0: does this process own our state, by what the kernel says?  self_is_ours
 * asks. */
bool vfork_check(void);

#endif
