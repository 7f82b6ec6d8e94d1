/* SPDX-License-Identifier: ISC */
/* seed: with FUZZ_SEEDS=DIRECTORY in the environment, a unit test also writes the rows of its
 * tables there, one file each, as the fuzzers read them (fuzz/input.h): what is known to matter is where
 * they begin. */
#ifndef UNIT_HTTP_SEED_H
#define UNIT_HTTP_SEED_H

#include "base/slice.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint64_t seed_hash(const struct slice *turns, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at <= turns[i].len; at++)
            hash = (hash ^ (at < turns[i].len ? (unsigned char)turns[i].data[at] : 256u)) * 0x100000001b3u;
    return hash;
}

/* The client's turn first, then the server's, and so on. */
static inline void seed_write(const struct slice *turns, size_t count)
{
    static const char no_cuts[8];
    const char *directory = getenv("FUZZ_SEEDS");
    char path[4096];
    FILE *file;

    if (!directory)
        return;
    snprintf(path, sizeof(path), "%s/%016llx", directory, (unsigned long long)seed_hash(turns, count));
    file = fopen(path, "w");
    assert(file);
    fwrite(no_cuts, 1, sizeof(no_cuts), file);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputc(0xFE, file);
        fwrite(turns[i].data, 1, turns[i].len, file);
    }
    fclose(file);
}

#endif
