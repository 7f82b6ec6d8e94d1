/* handover: an adapted exchange that is under way when the program execs another one.  The new program
 * may go on reading an inherited fd (`cat <&3`), and would wait for an end that never comes: so the
 * state goes with it, in a memfd that an environment variable names, for our constructor there. */
#ifndef HOLDFAST_PRELOAD_HANDOVER_H
#define HOLDFAST_PRELOAD_HANDOVER_H

/* The environment for the new program: `env` itself, or a copy with our variable, if an exchange on an
 * fd that survives exec is under way. */
char *const *handover_pack(char *const *env);

/* exec failed: undoes it. */
void handover_cancel(char *const *packed, char *const *env);

/* In the constructor: takes over what our variable names, and removes it. */
void handover_unpack(void);

#endif
