/* SPDX-License-Identifier: ISC */
/* env: what a shell or a service manager has to set so that all that it starts is under holdfast, without
 * `holdfast COMMAND`. */
#ifndef HOLDFAST_LAUNCHER_ENV_H
#define HOLDFAST_LAUNCHER_ENV_H

#include "base/config.h"

/* In whose words: a POSIX shell's, fish's, systemd's. */
struct env_form;

/* The one of this name; NULL: POSIX shells.  Ends the program with FAIL_OURS if the name is unknown. */
const struct env_form *env_form_find(const char *name);

/* Prints on stdout what switches holdfast on; `config`: NULL: it is switched off. */
void env_print_on(const struct env_form *form, const struct config *config);

/* ... what undoes it.  Ends the program with FAIL_OURS if the form has no words for it. */
void env_print_off(const struct env_form *form);

#endif
