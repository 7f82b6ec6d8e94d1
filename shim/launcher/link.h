/* SPDX-License-Identifier: ISC */
/* link: holdfast under the name of another program: a symbolic link /opt/held/curl to holdfast, where PATH begins with
 * /opt/held, puts holdfast in front of every `curl` without a change to the scripts that call it. */
#ifndef HOLDFAST_LAUNCHER_LINK_H
#define HOLDFAST_LAUNCHER_LINK_H

#include <stdbool.h>

/* Was holdfast started by such a link?  True: PATH has lost the link's folder, so that execvp(3) finds the program
 * that the link stands for, and argv[0] is its name.  False, and nothing is changed: the link is in no folder of
 * PATH, or PATH has no other program of that name, or the name begins with `holdfast`. */
bool link_resolve(char **argv);

#endif
