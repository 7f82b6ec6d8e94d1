#include "http/scan.h"

scan_block scan_rest(const char *p, const char *end)
{
    char rest[sizeof(scan_block)] = { 0 };
    scan_block block;

    memcpy(rest, p, (size_t)(end - p));
    memcpy(&block, rest, sizeof(block));
    return block;
}
