/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/self/self.h"

#include "preload/self/env.h"


#include <errno.h>
#include <string.h>
#include <time.h>

struct self self;

void self_start(bool secure)
{
    const char *name = program_invocation_short_name;
    size_t len = strlen(name);

    if (len >= sizeof self.name)
        len = sizeof self.name - 1;
    config_load(&self.config, env_reader(secure), NULL, NULL);
    memcpy(self.name, name, len);
    self.name[len] = '\0';
}

static inline uint64_t now_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t self_now_ms(void)
{
    return now_ms(CLOCK_BOOTTIME);
}

uint32_t self_coarse_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint32_t)now.tv_sec;
}

uint64_t self_coarse_ms(void)
{
    return now_ms(CLOCK_MONOTONIC_COARSE);
}
