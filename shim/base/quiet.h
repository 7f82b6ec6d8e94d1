/* SPDX-License-Identifier: ISC */
/* quiet: a write to a file of ours must not be what ends the program.  A pipe's reader may have gone (SIGPIPE),
 * and a file may not become longer than RLIMIT_FSIZE (SIGXFSZ; for memfds and ftruncate, too). */
#ifndef HOLDFAST_BASE_QUIET_H
#define HOLDFAST_BASE_QUIET_H

#include <signal.h>
#include <stdbool.h>

struct quiet {
    sigset_t before, pending;
};

/* Until quiet_end neither signal is delivered to the calling thread. */
void quiet_begin(struct quiet *quiet);

/* Takes back what a call that `failed` has sent, and nothing that was there before.  errno is left alone. */
void quiet_end(const struct quiet *quiet, bool failed);

/* The same, where errno does not tell which signal the call may have sent; 0: none. */
void quiet_end_of(const struct quiet *quiet, int signal);

#endif
