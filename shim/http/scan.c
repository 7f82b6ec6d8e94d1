/* SPDX-License-Identifier: ISC */
#include "http/scan.h"

void scan_rest(const char *p, const char *end, char rest[static 16])
{
    size_t len = (size_t)(end - p);

    memset(rest, 0, 16);
    memcpy(rest, p, len < 16 ? len : 16); /* it is; now the compiler knows, too */
}
