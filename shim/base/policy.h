/* SPDX-License-Identifier: ISC */
/* policy: a filter of system calls (seccomp(2)) that was there before this program began: a container's, systemd's, a
 * sandbox's.  Most let the library work.  Others kill a program for a call that it would never make itself, and the
 * library would make: there the program is left alone. */
#ifndef HOLDFAST_BASE_POLICY_H
#define HOLDFAST_BASE_POLICY_H

#include <stdbool.h>

/* Is there one?  Reads /proc/self/status: what the loader itself needs, so no filter kills for that.  Three calls. */
bool policy_filters(void);

/* Does it let the library work?  A child that shares nothing and sends no signal tries the calls. */
bool policy_allows(void);

#endif
