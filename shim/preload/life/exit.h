/* SPDX-License-Identifier: ISC */
/* exit: the end of the process, or of the library's work in it; and the files that it writes. */
#ifndef HOLDFAST_PRELOAD_EXIT_H
#define HOLDFAST_PRELOAD_EXIT_H

#include <stddef.h>
#include <sys/types.h>

/* In the constructor: opens the file of HOLDFAST_STATS. */
void exit_begin(void);

/* The process ends now: statistics are written.  Once. */
void exit_process(void);

/* No more pooling from here on: a filter of system calls is being installed.  Idle connections are
 * closed now; exchanges in progress end without a swap. */
void exit_retire(void);

/* Opens a file that lines are added to, under a private fd; -1: cannot, or `path` is NULL.  Does not wait: a FIFO that nobody
 * reads is no file (open(2): ENXIO), and a full one takes nothing. */
int exit_open_file(const char *path);

/* write(2), of which the program sees neither SIGPIPE nor SIGXFSZ. */
ssize_t exit_write_quietly(int fd, const void *bytes, size_t len);

#endif
