/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* Lend: what `environ` says meanwhile and afterwards, with one thread and with several, and when setenv(3) comes in between. */
#include "unit/preload/fake_real.h"

#include "preload/life/lend.h"

#include <pthread.h>

static char a[] = "A=1", b[] = "B=2", b2[] = "B=3", c[] = "C=4";
static char *own[8];
static char **before;

static int setup(void **state)
{
    (void)state;
    before = environ;
    own[0] = a, own[1] = b, own[2] = NULL;
    environ = own;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    environ = before;
    self.threaded = false;
    return 0;
}

static void is_own(void)
{
    assert_ptr_equal(environ, own);
    assert_true(own[0] == a && own[1] == b && own[2] == NULL);
}

static void test_the_same(void **state)
{
    struct lend lend;

    (void)state;
    lend_begin(&lend, own);
    is_own();
    lend_end(&lend);
    is_own();
    environ = NULL; /* clearenv(3) */
    char *wanted[] = { a, NULL };
    lend_begin(&lend, wanted);
    assert_null(environ);
    lend_end(&lend);
    assert_null(environ);
}

static void test_alone(void **state)
{
    char text[] = "B=3";
    char *wanted[] = { a, text, c, NULL };
    struct lend lend;

    (void)state;
    assert_true(lend_can_add());
    lend_begin(&lend, wanted);
    assert_true(environ != own && environ != wanted);
    assert_ptr_equal(environ[0], a); /* the program's own text */
    assert_string_equal(environ[1], "B=3");
    assert_ptr_not_equal(environ[1], text); /* the caller's is copied */
    assert_string_equal(environ[2], "C=4");
    assert_null(environ[3]);
    lend_end(&lend);
    is_own();
}

/* setenv(3) has made another array meanwhile: that is the program's, and stays. */
static void test_replaced_meanwhile(void **state)
{
    char *wanted[] = { a, b2, NULL }, *other[] = { a, NULL };
    struct lend lend;

    (void)state;
    lend_begin(&lend, wanted);
    environ = other;
    lend_end(&lend);
    assert_ptr_equal(environ, other);
    assert_string_equal(lend.made[1], "B=3"); /* which may still point at what was lent */
}

static void *among(void *test)
{
    void (*run)(void) = NULL;

    memcpy(&run, &test, sizeof run);
    self.threaded = true;
    assert_false(lend_can_add());
    run();
    return NULL;
}

static void with_threads(void (*run)(void))
{
    pthread_t thread;
    void *test;

    memcpy(&test, &run, sizeof test);
    assert_int_equal(pthread_create(&thread, NULL, among, test), 0);
    pthread_join(thread, NULL);
}

/* The array stays; one entry is another one, or says nothing. */
static void replace(void)
{
    char *wanted[] = { a, b2, c, NULL }, *without[] = { a, NULL };
    struct lend lend;

    lend_begin(&lend, wanted);
    assert_true(environ == own && own[0] == a && own[2] == NULL);
    assert_string_equal(own[1], "B=3");
    assert_ptr_not_equal(own[1], b2);
    const char *kept = own[1];
    lend_end(&lend);
    is_own();
    lend_begin(&lend, wanted);
    assert_ptr_equal(own[1], kept); /* not made anew each time */
    lend_end(&lend);
    is_own();

    lend_begin(&lend, without);
    assert_string_equal(own[1], "B=");
    lend_end(&lend);
    is_own();

    own[1] = c; /* nothing to replace: what is there is wanted, too */
    lend_begin(&lend, wanted);
    assert_true(own[0] == a && own[1] == c);
    lend_end(&lend);
    assert_true(own[0] == a && own[1] == c);
}

/* The program has given the entry another value meanwhile. */
static void changed_meanwhile(void)
{
    char *wanted[] = { a, b2, NULL };
    struct lend lend;

    lend_begin(&lend, wanted);
    own[1] = c;
    lend_end(&lend);
    assert_ptr_equal(own[1], c);
}

static void test_threads(void **state)
{
    (void)state;
    with_threads(replace);
}

static void test_threads_changed(void **state)
{
    (void)state;
    with_threads(changed_meanwhile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads_changed, setup, teardown),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
