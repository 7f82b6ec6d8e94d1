/* SPDX-License-Identifier: ISC */
/* child: the command as a child of ours, where something is left to do when it has ended.  It is as if it
 * were in our place: it gets the signals that are sent to us, we stop when it stops and go on when we are
 * told to, and we end as it ended.  What it leaves behind in the background is not waited for.
 *
 * It stays in our process group: what a terminal sends to the group reaches both, and is not sent on.  A
 * signal that a program sends to the whole group may reach it twice; SIGSTOP and SIGKILL cannot be sent on
 * (after the latter it is killed, too). */
#ifndef HOLDFAST_LAUNCHER_CHILD_H
#define HOLDFAST_LAUNCHER_CHILD_H

/* Runs `execute(command)` in a child, which exits with what that returns if it does.  The status as from
 * waitpid(2).  Ends the program if there is no child to be had.  Afterwards all signals are blocked. */
int child_run(int (*execute)(char **command), char **command);

/* Ends this process in the same way. */
_Noreturn void child_end_alike(int status);

#endif
