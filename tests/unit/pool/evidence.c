/* SPDX-License-Identifier: ISC */
/* evidence: what is known of servers, for how long, of how many, and who tries. */
#include "pool/evidence.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 5000000 };

static struct evidence_table table;

static int empty(void **state)
{
    (void)state;
    memset(&table, 0, sizeof(table));
    return 0;
}

static struct endpoint server(unsigned n)
{
    struct endpoint e = { .family = AF_INET, .port = htons((uint16_t)(8000 + n % 50000)), .netns = 3,
                          .address = { 127, (uint8_t)(n / 50000), 0, 1 } };

    return e;
}

static bool holds(const struct endpoint *to, enum evidence what, uint32_t now_s)
{
    return evidence_table_left(&table, to, what, now_s) != 0;
}

static void test_noted_and_forgotten(void **state)
{
    struct endpoint one = server(1), two = server(2);

    (void)state;
    for (unsigned what = 0; what < EVIDENCE_count; what++) {
        uint32_t time = evidence_seconds(what);
        assert_true(time > 0 && *evidence_sentence(what) && *evidence_word(what));
        assert_false(holds(&one, what, NOW));
        assert_false(evidence_table_forget(&table, &one, what, NOW));
        assert_true(evidence_table_note(&table, &one, what, NOW));
        assert_int_equal(evidence_table_left(&table, &one, what, NOW), time);
        assert_int_equal(evidence_table_left(&table, &one, what, NOW + time - 1), 1);
        assert_false(holds(&one, what, NOW + time));
        assert_false(holds(&two, what, NOW));
    }
    assert_true(evidence_table_forget(&table, &one, EVIDENCE_REUSED, NOW));
    for (unsigned what = 0; what < EVIDENCE_count; what++)
        assert_int_equal(holds(&one, what, NOW), what != EVIDENCE_REUSED);
    evidence_table_clear(&table);
    for (unsigned what = 0; what < EVIDENCE_count; what++)
        assert_false(holds(&one, what, NOW));
    assert_int_equal(evidence_seconds(EVIDENCE_count), 0);
    assert_string_equal(evidence_sentence((enum evidence)-1), "");
    assert_false(evidence_table_note(&table, &one, EVIDENCE_count, NOW));
}

static void test_noted_again(void **state)
{
    struct endpoint one = server(1);
    uint32_t time = evidence_seconds(EVIDENCE_REUSED);

    (void)state;
    assert_true(evidence_table_note(&table, &one, EVIDENCE_REUSED, NOW));
    assert_false(evidence_table_note(&table, &one, EVIDENCE_REUSED, NOW + 1)); /* not worth a write */
    assert_int_equal(evidence_table_left(&table, &one, EVIDENCE_REUSED, NOW + 1), time - 1);
    assert_false(evidence_table_note(&table, &one, EVIDENCE_REUSED, NOW + time / 2));
    assert_int_equal(evidence_table_left(&table, &one, EVIDENCE_REUSED, NOW + time / 2), time);
    assert_true(evidence_table_note(&table, &one, EVIDENCE_REUSED, NOW + 2 * time));
}

/* Who connects, and how, does not matter; where to, and in which namespace, does. */
static void test_same_server(void **state)
{
    struct endpoint one = server(1), same = one, mapped = { .family = AF_INET6, .port = one.port, .netns = one.netns };

    (void)state;
    mapped.address[10] = mapped.address[11] = 0xff;
    memcpy(&mapped.address[12], one.address, 4);
    same.uid = 9;
    same.options = 11;
    same.flow = 12;
    assert_true(evidence_table_note(&table, &one, EVIDENCE_SAID_SO, NOW));
    assert_true(holds(&same, EVIDENCE_SAID_SO, NOW));
    assert_true(holds(&mapped, EVIDENCE_SAID_SO, NOW));
    same.netns++;
    assert_false(holds(&same, EVIDENCE_SAID_SO, NOW));
    same = one;
    same.port++;
    assert_false(holds(&same, EVIDENCE_SAID_SO, NOW));
    same = one;
    same.address[3]++;
    assert_false(holds(&same, EVIDENCE_SAID_SO, NOW));
    mapped.scope = 2;
    assert_false(holds(&mapped, EVIDENCE_SAID_SO, NOW));
}

/* Of a thousand servers nothing is lost; of a hundred thousand nothing is known that was not noted. */
static void test_many_servers(void **state)
{
    unsigned known = 0;

    (void)state;
    for (unsigned n = 0; n < 1000; n++) {
        struct endpoint to = server(n);
        assert_true(evidence_table_note(&table, &to, EVIDENCE_SAID_SO, NOW));
    }
    for (unsigned n = 0; n < 100000; n++) {
        struct endpoint to = server(n);
        known += holds(&to, EVIDENCE_SAID_SO, NOW);
        assert_false(holds(&to, EVIDENCE_REUSED, NOW));
    }
    assert_int_equal(known, 1000);
    for (unsigned n = 0; n < 100000; n++) {
        struct endpoint to = server(n);
        evidence_table_note(&table, &to, EVIDENCE_REUSED, NOW + 1);
        assert_true(holds(&to, EVIDENCE_REUSED, NOW + 1));
    }
}

/* Whatever others have written there, it is a time in the future and not too far off, or nothing. */
static void test_nonsense(void **state)
{
    (void)state;
    srandom(1);
    for (size_t i = 0; i < sizeof(table); i++)
        ((unsigned char *)&table)[i] = (unsigned char)random();
    for (unsigned n = 0; n < 1000; n++) {
        struct endpoint to = server(n);
        for (unsigned what = 0; what < EVIDENCE_count; what++) {
            assert_in_range(evidence_table_left(&table, &to, what, NOW), 0, evidence_seconds(what));
            evidence_table_note(&table, &to, what, NOW);
            assert_true(holds(&to, what, NOW));
            evidence_table_forget(&table, &to, what, NOW);
            assert_false(holds(&to, what, NOW));
        }
    }
}

/* ---- for people ---- */

struct shown {
    unsigned count, of[4];
    struct endpoint last;
};

static void show(void *arg, const struct endpoint *place, enum evidence what, uint32_t left_s)
{
    struct shown *shown = arg;

    assert_in_range(left_s, 1, evidence_seconds(what));
    shown->count++;
    shown->last = *place;
    for (unsigned n = 1; n < 4; n++) {
        struct endpoint to = server(n);
        shown->of[n] += endpoint_same_place(&to, place) && place->netns == to.netns;
    }
}

static void test_shown(void **state)
{
    struct shown shown = { 0 };

    (void)state;
    for (unsigned n = 1; n < 4; n++) {
        struct endpoint to = server(n);
        evidence_table_note(&table, &to, EVIDENCE_SAID_SO, NOW);
        evidence_table_note(&table, &to, EVIDENCE_REUSED, NOW);
    }
    evidence_table_each(&table, NOW, show, &shown);
    assert_int_equal(shown.count, 6);
    for (unsigned n = 1; n < 4; n++)
        assert_int_equal(shown.of[n], 2);
    shown = (struct shown){ 0 };
    evidence_table_each(&table, NOW + evidence_seconds(EVIDENCE_SAID_SO), show, &shown);
    assert_int_equal(shown.count, 0);
    for (size_t i = 0; i < sizeof(table.names); i++)
        ((unsigned char *)&table.names)[i] = (unsigned char)random();
    evidence_table_each(&table, NOW, show, &shown);
    assert_int_equal(shown.count, 0);
}

/* ---- trials ---- */

static bool there = true;

static bool is_gone(uint32_t pid, uint32_t space)
{
    assert_in_range(pid, 1, 0x3fffff);
    assert_in_range(space, 0, EVIDENCE_SPACE_MASK);
    return !there && (space == 0 || space == 0x37);
}

static const struct evidence_who me = { .pid = 4000000, .space = 0xf7, .is_gone = is_gone },
                                 other = { .pid = 17, .space = 0xf7, .is_gone = is_gone },
                                 elsewhere = { .pid = 17, .space = 0xf8, .is_gone = is_gone };

static void test_trial(void **state)
{
    struct endpoint one = server(1), two = server(2);

    (void)state;
    there = true;
    assert_int_equal(evidence_table_trial(&table, &one, &me, NOW), EVIDENCE_FREE);
    assert_int_equal(evidence_table_try(&table, &one, &me, NOW), EVIDENCE_FREE);
    assert_int_equal(evidence_table_trial(&table, &one, &other, NOW), EVIDENCE_TAKEN);
    assert_int_equal(evidence_table_try(&table, &one, &other, NOW), EVIDENCE_TAKEN);
    assert_int_equal(evidence_table_try(&table, &one, &me, NOW), EVIDENCE_TAKEN);
    assert_int_equal(evidence_table_try(&table, &two, &other, NOW), EVIDENCE_FREE);
    assert_false(evidence_table_tried(&table, &one, &other));
    assert_false(evidence_table_tried(&table, &two, &elsewhere));
    assert_int_equal(evidence_table_trial(&table, &one, &other, NOW), EVIDENCE_TAKEN);
    assert_true(evidence_table_tried(&table, &one, &me));
    assert_false(evidence_table_tried(&table, &one, &me));
    assert_int_equal(evidence_table_try(&table, &one, &other, NOW), EVIDENCE_FREE);
}

static void test_trial_fails(void **state)
{
    struct endpoint one = server(1);

    (void)state;
    there = true;
    for (uint32_t now = NOW; now < NOW + 200000; now += 30011) { /* sixteen bits of it are kept */
        assert_int_equal(evidence_table_try(&table, &one, &me, now), EVIDENCE_FREE);
        assert_int_equal(evidence_table_trial(&table, &one, &other, now + EVIDENCE_TRIAL_S - 1), EVIDENCE_TAKEN);
        assert_int_equal(evidence_table_try(&table, &one, &other, now + EVIDENCE_TRIAL_S), EVIDENCE_FAILED);
        assert_int_equal(evidence_table_try(&table, &one, &other, now + EVIDENCE_TRIAL_S), EVIDENCE_FREE);
        assert_false(evidence_table_tried(&table, &one, &me));
        assert_true(evidence_table_tried(&table, &one, &other));
    }
    assert_int_equal(evidence_table_try(&table, &one, &me, NOW), EVIDENCE_FREE);
    there = false;
    assert_int_equal(evidence_table_trial(&table, &one, &other, NOW), EVIDENCE_FAILED);
    assert_int_equal(evidence_table_try(&table, &one, &elsewhere, NOW), EVIDENCE_FREE);
    assert_int_equal(evidence_table_trial(&table, &one, &other, NOW), EVIDENCE_TAKEN); /* cannot be asked */
}

/* Those of other servers that have failed make room; running ones do not. */
static void test_many_trials(void **state)
{
    unsigned begun = 0;

    (void)state;
    there = true;
    for (unsigned n = 0; n < 20000; n++) {
        struct endpoint to = server(n);
        begun += evidence_table_try(&table, &to, &me, NOW) == EVIDENCE_FREE;
    }
    assert_int_equal(begun, EVIDENCE_TRIALS * EVIDENCE_TRIAL_WAYS);
    there = false;
    for (unsigned n = 30000; n < 31000; n++) {
        struct endpoint to = server(n);
        assert_int_equal(evidence_table_try(&table, &to, &me, NOW), EVIDENCE_FREE);
    }
}

/* ---- threads ---- */

enum { THREADS = 4, TURNS = 20000 };

static atomic_uint tries, at_once;

static void *try_often(void *arg)
{
    struct endpoint one = server(1), mine = server(100 + (unsigned)(uintptr_t)arg);
    struct evidence_who who = { .pid = 1 + (uint32_t)(uintptr_t)arg, .is_gone = is_gone };

    for (unsigned i = 0; i < TURNS; i++) {
        if (evidence_table_try(&table, &one, &who, NOW) == EVIDENCE_FREE) {
            assert_int_equal(atomic_fetch_add(&at_once, 1), 0);
            atomic_fetch_add(&tries, 1);
            atomic_fetch_sub(&at_once, 1);
            assert_true(evidence_table_tried(&table, &one, &who));
        }
        evidence_table_note(&table, &mine, i % EVIDENCE_count, NOW);
        assert_true(evidence_table_left(&table, &mine, i % EVIDENCE_count, NOW) > 0);
        evidence_table_forget(&table, &mine, i % EVIDENCE_count, NOW);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    there = true;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, try_often, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(tries > 0);
}

#define TEST(name) cmocka_unit_test_setup(name, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_noted_and_forgotten), TEST(test_noted_again), TEST(test_same_server), TEST(test_many_servers),
        TEST(test_nonsense), TEST(test_shown), TEST(test_trial), TEST(test_trial_fails), TEST(test_many_trials),
        TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
