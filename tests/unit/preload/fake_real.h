/* SPDX-License-Identifier: ISC */
/* fake_real: libc as a test wants it.  Each entry of `real` fails the test that calls it, so a test names what it
 * allows: `real.dup3 = mine;`.  fake_kernel.h has entries that work, on sockets that are only numbers.
 *
 * The library's constructor finds HOLDFAST=0 and does nothing; fake_begin does what a test needs of it.  The clock
 * stands still and is the test's (the Makefile wraps clock_gettime).  An assertion of the library's that fails can be
 * expected: FAKE_ASSERTS. */
#ifndef UNIT_PRELOAD_FAKE_REAL_H
#define UNIT_PRELOAD_FAKE_REAL_H

#ifndef _GNU_SOURCE
#error "_GNU_SOURCE first"
#endif

#include "preload/conn/conn.h"
#include "preload/libc/real.h"
#include "preload/self/self.h"
#include "preload/share/idle.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static void fake_unexpected(const char *name)
{
    fail_msg("real.%s was not expected", name);
}

#define SYMBOL(ret, name, params, args, failure) \
    static ret unexpected_##name params          \
    {                                            \
        fake_unexpected(#name);                  \
        return failure;                          \
    }
#define VARIADIC(ret, name, params)     \
    static ret unexpected_##name params \
    {                                   \
        fake_unexpected(#name);         \
        return -1;                      \
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "preload/libc/symbols.def"
#pragma GCC diagnostic pop
#undef SYMBOL
#undef VARIADIC

static const struct real fake_nothing = {
#define SYMBOL(ret, name, params, args, failure) .name = unexpected_##name,
#define VARIADIC(ret, name, params) .name = unexpected_##name,
#include "preload/libc/symbols.def"
#undef SYMBOL
#undef VARIADIC
};

struct real real;

bool real_resolve(void)
{
    real = fake_nothing;
    return true;
}

/* ---- the clock ---- */

static uint64_t fake_ms = 1000000;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){ (time_t)(fake_ms / 1000), (long)(fake_ms % 1000) * 1000000 };
    return 0;
}

/* ---- assertions ---- */

static jmp_buf fake_asserted;
static volatile bool fake_asserts;

void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
    if (fake_asserts)
        longjmp(fake_asserted, 1);
    fprintf(stderr, "%s:%u: %s: %s\n", file, line, function, what);
    abort();
}

/* Does this assert what is not so? */
#define FAKE_ASSERTS(statement)                                          \
    (setjmp(fake_asserted) ? (fake_asserts = false, true)                \
                           : (fake_asserts = true, (statement), fake_asserts = false, false))

/* ---- the beginning ---- */

__attribute__((constructor(101))) static void fake_switch_off(void)
{
    setenv("HOLDFAST", "0", 1);
    real = fake_nothing;
}

/* Once, in the group's setup: private numbers lie from 896 on, at most 128. */
static inline int fake_begin(void **state)
{
    const struct rlimit limit = { 1024, 1024 };

    (void)state;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    self_start(false);
    vfork_init(NULL, NULL);
    conn_init();
    assert_int_equal(idle_start(), 0);
    self.active = true;
    return 0;
}

#endif
