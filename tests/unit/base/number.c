/* SPDX-License-Identifier: ISC */
/* Numbers in text: base/number.h. */
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void numbers(void **unused)
{
    static const struct {
        const char *text;
        unsigned base;
        uint64_t value;
        size_t taken;
    } rows[] = {
        { "0", 10, 0, 1 }, { "17]", 10, 17, 2 }, { "  \t5 6", 10, 5, 4 }, { "", 10, 0, 0 }, { "x", 10, 0, 0 }, { "-1", 10, 0, 0 },
        { "2019", 16, 0x2019, 4 }, { "ff,", 16, 255, 2 }, { "1a", 10, 1, 1 }, { "4294967296", 10, 1ULL << 32, 10 },
        { "18446744073709551615\n", 10, UINT64_MAX, 20 },
    };

    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *at = rows[i].text;
        uint64_t value = 1;
        bool found = number_take(&at, rows[i].base, &value);
        assert_int_equal(found, rows[i].taken > 0);
        assert_true(value == rows[i].value);
        assert_int_equal(at - rows[i].text, rows[i].taken);
        assert_true(number_at(rows[i].text, rows[i].base) == rows[i].value);
    }
}

static void with_a_minus(void **unused)
{
    const char *text = "12,-1,2147483648", *at = text;
    int value = 0;

    (void)unused;
    assert_true(number_take_int(&at, &value) && value == 12 && *at++ == ',');
    assert_true(number_take_int(&at, &value) && value == -1 && *at++ == ',');
    assert_false(number_take_int(&at, &value));
    assert_int_equal(value, -1);
    assert_int_equal(at - text, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(numbers), cmocka_unit_test(with_a_minus) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
