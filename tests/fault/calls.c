/* SPDX-License-Identifier: ISC */
/* A wrapper for every symbol that the shim replaces, made from its own list; weak, so that those that need
 * more care are written out in special.c.  No _GNU_SOURCE: see shim/preload/hooks/connect.c. */
#include "preload/libc/real.h"

#include "fault.h"

#include <threads.h>

#define FIRST(first, ...) first

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wpedantic"

#define SYMBOL(ret, name, params, args, failure)                                                   \
    __attribute__((visibility("default"), weak)) ret name params                                   \
    {                                                                                              \
        static ret(*next) params;                                                                  \
        if (!next)                                                                                 \
            *(void **)&next = fault_next(#name);                                                   \
        struct fault fault = fault_meet(#name, FIRST_OF args, true, __builtin_return_address(0));  \
        if (fault.what == FAULT_ERRNO) {                                                           \
            errno = fault.error;                                                                   \
            return failure;                                                                        \
        }                                                                                          \
        return next args;                                                                          \
    }
#define VARIADIC(ret, name, params)
#define FIRST_OF(...) 0 __VA_OPT__(+(long)(intptr_t)FIRST(__VA_ARGS__, 0))
/* Nobody sees them fail. */
#define _exit unwrapped_exit
#define _Exit unwrapped_Exit
#include "preload/libc/symbols.def"
