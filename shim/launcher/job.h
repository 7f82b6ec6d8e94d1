/* SPDX-License-Identifier: ISC */
/* job: a running process under holdfast, looked at from another terminal.
 *
 * Such a process has the board that it shares with others (pool/board.h) among its descriptors.  Whoever may read the
 * process's /proc/PID/fd opens the board there: its user and root (proc(5)).  Queues and line lie beside it, and are
 * copied by whoever may (tree_copy): a security policy such as Yama can forbid that to the user, but not to root. */
#ifndef HOLDFAST_LAUNCHER_JOB_H
#define HOLDFAST_LAUNCHER_JOB_H

#include "pool/board.h"
#include "pool/tree.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct job {
    pid_t pid;
    char name[16];    /* of its program, as the kernel has it, with '?' for what is not printable */
    struct stat file; /* the board's: its owner is the job's user, its inode tells it from others */
    int board;        /* read-only; the caller's to close */
    int first;        /* from here on the job has its queues, board and line */
    char token[TREE_TOKEN + 1];
};

/* NULL: *job is filled.  Else a sentence: why process `pid` cannot be looked at. */
const char *job_find(pid_t pid, struct job *job);

/* Opens the same board again: of job->pid, or after that has exited of any other process that has it.  False: none
 * has. */
bool job_find_again(struct job *job);

/* Puts a variable of the job into our environment, or takes it out if the job had none when it was started. */
void job_take_variable(const struct job *job, const char *name);

/* Is what the job calls "/" what we call so? */
bool job_has_our_root(const struct job *job);

#endif
