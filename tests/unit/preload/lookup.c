/* SPDX-License-Identifier: ISC */
/* What lookup_next finds is what dlsym finds; and what it leaves to dlsym is little. */
#define _GNU_SOURCE
#include "preload/libc/lookup.c"
#include "preload/libc/real.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const char *const names[] = {
#define SYMBOL(ret, name, params, args, failure) #name,
#define VARIADIC(ret, name, params) #name,
#include "preload/libc/symbols.def"
#undef SYMBOL
#undef VARIADIC
};

enum { NAMES = sizeof names / sizeof *names };

static void test_same(void **state)
{
    unsigned asked = 0;

    (void)state;
    lookup_begin();
    assert_true(loaded.sound);
    for (unsigned i = 0; i < NAMES; i++) {
        void *found = lookup_next(names[i]), *theirs = dlsym(RTLD_NEXT, names[i]);
        asked += !found && theirs;
        if (found)
            assert_ptr_equal(found, theirs);
    }
    assert_in_range(asked, 0, NAMES / 10);
}

static void test_odd(void **state)
{
    /* Chosen at run time (STT_GNU_IFUNC), data, of no object, of objects before this one. */
    static const char *const odd[] = { "memcpy", "strlen", "environ", "stdin", "no_such_function", "lookup_begin", "main" };

    (void)state;
    lookup_begin();
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
        void *found = lookup_next(odd[i]);
        if (found)
            assert_ptr_equal(found, dlsym(RTLD_NEXT, odd[i]));
    }
    assert_null(lookup_next("no_such_function"));
    assert_null(lookup_next("environ"));
}

/* An object that cannot be read: everything is left to dlsym. */
static void test_unsound(void **state)
{
    (void)state;
    lookup_begin();
    loaded.sound = false;
    assert_null(lookup_next("read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_odd),
        cmocka_unit_test(test_unsound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
