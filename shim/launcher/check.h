/* SPDX-License-Identifier: ISC */
/* check: `holdfast --check COMMAND`: can the library be loaded into a command, and which socket calls does it
 * make?  Nothing is run; only files are read. */
#ifndef HOLDFAST_LAUNCHER_CHECK_H
#define HOLDFAST_LAUNCHER_CHECK_H

#include "launcher/look.h"

#include <stdbool.h>

/* Prints it on stdout; `command`: with its arguments, which are not looked at; `library`: the path of ours; `verbose`:
 * also who calls what, and every file.  True: it can be loaded. */
bool check_print(char *const *command, const struct look *look, const char *library, bool verbose);

#endif
