/* env: what a shell has to set so that all that it starts is under holdfast, without `holdfast COMMAND`. */
#ifndef HOLDFAST_LAUNCHER_ENV_H
#define HOLDFAST_LAUNCHER_ENV_H

#include "base/config.h"

/* Prints POSIX shell commands for eval on stdout; `config`: NULL: it is switched off. */
void env_print_on(const struct config *config);

/* ... that undo it. */
void env_print_off(void);

#endif
