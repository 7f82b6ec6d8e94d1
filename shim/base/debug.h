/* SPDX-License-Identifier: ISC */
/* debug: what only debug builds check (make DEBUG=1, and all builds with sanitizers): there a claim that does not hold
 * ends the program.  Elsewhere the program goes on, and nothing is computed. */
#ifndef HOLDFAST_BASE_DEBUG_H
#define HOLDFAST_BASE_DEBUG_H

#include <assert.h>

#ifdef HOLDFAST_DEBUG
enum { DEBUGGING = 1 };
#define debug_assert(claim) assert(claim)
#else
enum { DEBUGGING = 0 };
#define debug_assert(claim) (void)(DEBUGGING && (claim))
#endif

#endif
