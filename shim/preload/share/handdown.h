/* SPDX-License-Identifier: ISC */
/* handdown: which program gets the queues (pool/tree.h) across exec(2).  Who has a queue's descriptor can read,
 * and take, the connections in it.  So they are close-on-exec in every process that has the library, and are
 * inheritable only while a program is being executed for which all of this holds:
 *   - all uids of this process are the queues' owner's;
 *   - the environment that the program is given preloads the library, and names these queues;
 *   - its file is one that a loader of our kind starts, with no more rights than this process has
 *     (base/program.h).
 * A program that gets none may find them at its parent, where the kernel lets it (preload/share/inherited.c). */
#ifndef HOLDFAST_PRELOAD_HANDDOWN_H
#define HOLDFAST_PRELOAD_HANDDOWN_H

#include "pool/tree.h"

#include <stdbool.h>

/* Does all of it hold?  `path`: the file; NULL: it is not known.  Also in a vfork child. */
bool handdown_is_for(const struct tree *tree, const char *path, char *const *env);

/* The queues, the board and the line become inheritable. */
void handdown_open(const struct tree *tree);

/* They are close-on-exec again. */
void handdown_shut(const struct tree *tree);

/* The file that execvp(3) takes for `file`: itself, or what `name` is filled with; NULL: there is none. */
const char *handdown_find(const char *file, char *name);

/* How many bytes of `name` that needs. */
size_t handdown_longest(const char *file);

#endif
