/* SPDX-License-Identifier: ISC */
/* handover: an adapted exchange that is under way when the program execs another one.  The new program
 * may go on reading an inherited fd (`cat <&3`), and would wait for an end that never comes: so the
 * state goes with it, in a memfd that an environment variable names, for our constructor there. */
#ifndef HOLDFAST_PRELOAD_HANDOVER_H
#define HOLDFAST_PRELOAD_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>

/* The environment for the new program: `env` itself; or, in memory of room.h, that and our variable, if an
 * exchange on an fd that it inherits is under way.  If the program cannot take it over (statically
 * linked, or its environment does not preload us), the server is asked to close after its response
 * instead.  `path`: the program, NULL if it is not known.  `rearranged`: file actions may hand down fds
 * that are close-on-exec here.  Also in a vfork child, whose fds are looked at. */
char *const *handover_pack(const char *path, char *const *env, bool rearranged);

/* Right before exec: its program inherits the memfd. */
void handover_inherit(char *const *packed, char *const *env);

/* Right before a child is spawned: it does, too, or fetches the memfd from here where another thread could hand it to a child
 * of its own. */
void handover_pass(char *const *packed, char *const *env);

/* exec failed, or the program was spawned: the parcels are closed here. */
void handover_done(char *const *packed, char *const *env);

/* In the constructor: takes over what our variable names, and removes it. */
void handover_unpack(void);

#endif
