/* SPDX-License-Identifier: ISC */
/* text: what is written for people. */
#ifndef HOLDFAST_LAUNCHER_TEXT_H
#define HOLDFAST_LAUNCHER_TEXT_H

#include <stdio.h>

/* `first` as it is, then the words of `text`; lines after the first one begin with `indent` spaces.  Ends with a
 * newline. */
void text_wrap(FILE *out, const char *first, const char *text, int indent);

#endif
