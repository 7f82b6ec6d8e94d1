/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Reach: what an environment says of the library to a program that may not find it. */
#include "unit/preload/fake_real.h"

#include "base/version.h"
#include "preload/life/reach.h"

#include <sys/stat.h>

enum { ROOM = 8 };

static char there[200], folder[] = "/tmp/holdfast-reach-XXXXXX";

static int begin(void **state)
{
    fake_begin(state);
    assert_non_null(mkdtemp(folder));
    snprintf(there, sizeof there, "%s/libholdfast.so", folder);
    FILE *f = fopen(there, "w");
    assert_non_null(f);
    return fclose(f);
}

static int end(void **state)
{
    (void)state;
    unlink(there);
    return rmdir(folder);
}

static int setup(void **state)
{
    (void)state;
    self.active = true;
    self.retired = false;
    errno = 42;
    return 0;
}

/* What comes of LD_PRELOAD=list between A=1 and B=2: NULL: the environment as it is; "gone": without the variable. */
static const char *reached(const char *list)
{
    static char variable[600];
    char *env[] = { (char *)(uintptr_t)"A=1", variable, (char *)(uintptr_t)"B=2", NULL };

    snprintf(variable, sizeof variable, "LD_PRELOAD=%s", list);
    char *const *got = reach_env(env);
    assert_int_equal(errno, 42);
    if (got == env)
        return NULL;
    assert_string_equal(got[0], "A=1");
    bool with = strncmp(got[1], "LD_PRELOAD=", 11) == 0;
    assert_string_equal(got[1 + with], "B=2");
    assert_null(got[2 + with]);
    return with ? got[1] + 11 : "gone";
}

static void test_found(void **state)
{
    char list[500];

    (void)state;
    assert_null(reached(there));
    snprintf(list, sizeof list, "/lib/x.so:%s:/lib/y.so", there);
    assert_null(reached(list));
    assert_null(reached("/nowhere/other.so")); /* not ours */
    assert_null(reached("nowhere/libholdfast.so")); /* looked for elsewhere */
}

static void test_lost(void **state)
{
    char list[500];

    (void)state;
    assert_string_equal(reached("/nowhere/libholdfast.so"), "gone");
    assert_string_equal(reached("/lib/x.so:/nowhere/libholdfast.so"), "/lib/x.so:");
    assert_string_equal(reached("/nowhere/libholdfast.so /lib/y.so"), "/lib/y.so");
    assert_string_equal(reached("/lib/x.so:/nowhere/libholdfast.so:/lib/y.so"), "/lib/x.so:/lib/y.so");
    snprintf(list, sizeof list, "%s/libholdfast.so", there); /* below a file: ENOTDIR */
    assert_string_equal(reached(list), "gone");
    memset(list, 'a', sizeof list); /* ENAMETOOLONG: not known */
    list[0] = '/';
    memcpy(list + 480, "/libholdfast.so", 16);
    assert_null(reached(list));
}

/* Of $PLATFORM and its like, the folder above counts. */
static void test_dollar(void **state)
{
    char list[500];

    (void)state;
    snprintf(list, sizeof list, "%s/$PLATFORM/libholdfast.so", folder);
    assert_null(reached(list));
    assert_string_equal(reached("/nowhere/$PLATFORM/libholdfast.so"), "gone");
}

static void test_nothing_of_ours(void **state)
{
    char *env[] = { (char *)(uintptr_t)"LD_PRELOAD=/nowhere/libholdfast.so", NULL }, *bare[] = { NULL };

    (void)state;
    self.active = false; /* HOLDFAST=0: as it is */
    assert_ptr_equal(reach_env(env), env);
    self.active = true;
    assert_null(reach_env(NULL));
    assert_ptr_equal(reach_env(bare), bare);
}

/* Under a filter of system calls the program looks itself. */
static void test_retired(void **state)
{
    char *env[] = { (char *)(uintptr_t)(VERSION_VARIABLE "=1.0"), (char *)(uintptr_t)(VERSION_VARIABLE "X=1"),
                    (char *)(uintptr_t)"LD_PRELOAD=/nowhere/libholdfast.so", NULL };

    (void)state;
    self.retired = true;
    char *const *got = reach_env(env);
    assert_true(got[0] == env[1] && got[1] == env[2] && !got[2]);
    assert_null(reach_env(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_found, setup),  cmocka_unit_test_setup(test_lost, setup),
        cmocka_unit_test_setup(test_dollar, setup), cmocka_unit_test_setup(test_nothing_of_ours, setup),
        cmocka_unit_test_setup(test_retired, setup),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
