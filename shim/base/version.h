/* SPDX-License-Identifier: ISC */
/* version: the only place that says which release this is.  Launcher and library are of the same one, or
 * do not work together: they share the environment's HOLDFAST_ variables and what lies in a tree. */
#ifndef HOLDFAST_BASE_VERSION_H
#define HOLDFAST_BASE_VERSION_H

#include <stdint.h>

#define HOLDFAST_VERSION "0.1.0"

/* Set by the launcher.  A library that finds another release's here does nothing; one that finds none was
 * preloaded by hand. */
#define VERSION_VARIABLE "HOLDFAST_VERSION"

/* The library's section with an ELF note, which the launcher reads. */
#define VERSION_SECTION ".note.holdfast"
#define VERSION_OWNER "holdfast"

enum { VERSION_SIZE = 32, VERSION_NOTE_TYPE = 1 };

struct version_note {
    uint32_t owner_len, version_len, type;
    char owner[12];
    char version[VERSION_SIZE];
};

#endif
