/* SPDX-License-Identifier: ISC */
/* choice: what the settings leave alone: programs (HOLDFAST_COMMANDS_...), servers and Hosts
 * (HOLDFAST_ONLY, HOLDFAST_EXCEPT). */
#ifndef HOLDFAST_PRELOAD_CHOICE_H
#define HOLDFAST_PRELOAD_CHOICE_H

#include "base/slice.h"
#include "pool/endpoint.h"

#include <stdbool.h>

/* Once, after the settings were loaded: reads the lists. */
void choice_start(void);

/* Is this program one that the settings leave alone?  Its name is that of argv[0], of the file that was
 * executed (a script that the kernel runs by its first line, but not one that env(1) runs), or of the
 * program's own file; of these nothing but the last component. */
bool choice_leaves_program(void);

/* Is a connection to there left alone, whatever will be asked on it? */
bool choice_leaves_endpoint(const struct endpoint *to);

/* Does it depend on the name of the server, too?  Then choice_leaves_name: is a request for a server of this name left
 * alone?  For an endpoint that is not. */
bool choice_goes_by_name(void);
bool choice_leaves_name(const struct endpoint *to, struct slice name);

#endif
