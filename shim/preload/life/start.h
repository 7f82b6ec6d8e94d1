/* SPDX-License-Identifier: ISC */
/* start: the library begins its work in a process. */
#ifndef HOLDFAST_PRELOAD_START_H
#define HOLDFAST_PRELOAD_START_H

/* In the constructor (hooks/load.c), before which hooks may have been called: resolves libc, reads the settings, and, unless
 * they or a filter of system calls forbid it, finds what this process was given.  errno is left alone. */
void start_process(void);

#endif
