/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Environments: how LD_PRELOAD is written, and what stands where. */
#include "unit/preload/fake_real.h"

#include "preload/self/env.h"
#include "preload/self/version.h"

#include "base/version.h"

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static void test_find(void **state)
{
    char *env[] = { text("AB=1"), text("A"), text("A=2"), text("A=3"), NULL }, *none[] = { NULL };

    (void)state;
    assert_string_equal(env_find(env, "A"), "2"); /* the first, and the whole name */
    assert_string_equal(env_find(env, "AB"), "1");
    assert_null(env_find(env, "B"));
    assert_null(env_find(none, "A"));
    assert_null(env_find(NULL, "A"));
}

/* Where in `list` the library is, and what follows; NULL: nowhere. */
static void finds(const char *list, const char *entry, const char *rest)
{
    char variable[200];
    char *env[] = { text("X=libholdfast.so"), text("LD_PRELOADS=libholdfast.so"), variable, text("Z=1"), NULL };

    snprintf(variable, sizeof variable, "LD_PRELOAD=%s", list);
    struct env_preload found = env_preload(env);
    if (!entry) {
        assert_null(found.variable);
        return;
    }
    assert_ptr_equal(found.variable, variable);
    assert_ptr_equal(found.list, variable + strlen("LD_PRELOAD="));
    assert_int_equal(found.len, strlen(entry));
    assert_memory_equal(found.entry, entry, found.len);
    assert_string_equal(found.rest, rest);
}

static void test_preload(void **state)
{
    (void)state;
    finds("", NULL, NULL);
    finds("/lib/other.so", NULL, NULL);
    finds("/l/libholdfas.so:t", NULL, NULL); /* not across a separator */
    finds("/l/libholdfast.so", "/l/libholdfast.so", "");
    finds("libholdfast.so.0", "libholdfast.so.0", "");
    finds("/a.so:/l/libholdfast.so", "/l/libholdfast.so", "");
    finds("/l/libholdfast.so:/b.so", "/l/libholdfast.so", "/b.so");
    finds("/a.so /l/libholdfast.so : /b.so", "/l/libholdfast.so", "/b.so");
    finds(":/l/libholdfast.so:", "/l/libholdfast.so", "");
    finds("/a.so\t/l/libholdfast.so\n/b.so", "/l/libholdfast.so", "/b.so");
    finds("/1/libholdfast.so:/2/libholdfast.so", "/1/libholdfast.so", "/2/libholdfast.so");
    finds("/1/libholdfast.so:/1/libholdfast-tls.so:/b.so", "/1/libholdfast.so", "/b.so"); /* both are ours */
}

/* Two of them: the one that has it. */
static void test_preload_twice(void **state)
{
    char *env[] = { text("LD_PRELOAD=/a.so"), text("LD_PRELOAD=/l/libholdfast.so"), NULL };

    (void)state;
    assert_ptr_equal(env_preload(env).variable, env[1]);
    assert_null(env_preload(NULL).variable);
}

static void test_get(void **state)
{
    (void)state;
    setenv("HOLDFAST_X", "1", 1);
    assert_string_equal(env_get("HOLDFAST_X"), "1");
    assert_string_equal(env_get_secure("HOLDFAST_X"), "1");
    assert_ptr_equal(env_reader(false), env_get);
    assert_ptr_equal(env_reader(true), env_get_secure);
    unsetenv("HOLDFAST_X");
    assert_null(env_get("HOLDFAST_X"));
}

/* No word of a launcher, or one of ours. */
static void test_version(void **state)
{
    (void)state;
    unsetenv(VERSION_VARIABLE);
    assert_true(version_agrees());
    setenv(VERSION_VARIABLE, "", 1);
    assert_true(version_agrees());
    setenv(VERSION_VARIABLE, HOLDFAST_VERSION, 1);
    assert_true(version_agrees());
    setenv(VERSION_VARIABLE, HOLDFAST_VERSION "1", 1);
    assert_false(version_agrees());
    unsetenv(VERSION_VARIABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find), cmocka_unit_test(test_preload), cmocka_unit_test(test_preload_twice),
        cmocka_unit_test(test_get),  cmocka_unit_test(test_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
