/* SPDX-License-Identifier: ISC */
/* version: this library's release, in a note for the launcher, and what the launcher says of its own. */
#ifndef HOLDFAST_PRELOAD_VERSION_H
#define HOLDFAST_PRELOAD_VERSION_H

#include <stdbool.h>

/* False: we were started by a launcher of another release (an upgrade in the middle of its work), or by one
 * whose command started us in an environment from before.  Nothing is to be done then. */
bool version_agrees(void);

#endif
