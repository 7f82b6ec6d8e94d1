/* SPDX-License-Identifier: ISC */
#include "preload/self/version.h"

#include "base/version.h"

#include <stdlib.h>
#include <string.h>

__attribute__((section(VERSION_SECTION), used, aligned(4))) static const struct version_note note = {
    .owner_len = sizeof VERSION_OWNER,
    .version_len = VERSION_SIZE,
    .type = VERSION_NOTE_TYPE,
    .owner = VERSION_OWNER,
    .version = HOLDFAST_VERSION,
};

bool version_agrees(void)
{
    const char *launcher = getenv(VERSION_VARIABLE);

    return !launcher || !*launcher || strcmp(launcher, note.version) == 0;
}
