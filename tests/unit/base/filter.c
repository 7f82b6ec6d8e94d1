/* SPDX-License-Identifier: ISC */
/* filter and list: what the lists in the settings mean, element by element. */
#include "base/filter.h"
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>

static struct filter filter;

static struct slice text_of(const char *text)
{
    return (struct slice){ text, strlen(text) };
}

/* An exact copy, so that AddressSanitizer sees a read behind its end. */
static bool reads(const char *element)
{
    size_t len = strlen(element);
    char *copy = malloc(len + 3); /* an empty list has no element, "a," has two */
    struct slice bad;

    memcpy(copy, "a,", 2);
    memcpy(copy + 2, element, len + 1);
    bool read = filter_check(copy, &bad);
    assert_true(read || bad.len == len);
    free(copy);
    return read;
}

static void to_bytes(const char *address, uint8_t bytes[16])
{
    memset(bytes, 0, 16);
    if (inet_pton(AF_INET6, address, bytes) == 1)
        return;
    memset(bytes + 10, 0xff, 2);
    assert_int_equal(inet_pton(AF_INET, address, bytes + 12), 1);
}

static bool has(const char *list, const char *address, uint16_t port)
{
    uint8_t bytes[16];

    to_bytes(address, bytes);
    if (!filter_read(&filter, list))
        fail_msg("%s is not read", list);
    return filter_has_address(&filter, bytes, port);
}

static bool names(const char *list, const char *host)
{
    if (!filter_read(&filter, list))
        fail_msg("%s is not read", list);
    return filter_has_name(&filter, text_of(host));
}

static void test_elements(void **state)
{
    static const char *const good[] = {
        "127.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "255.255.255.255/32", ":80", ":1", ":65535", "10.1.2.3:8080",
        "::1", "::", "::/0", "fe80::/10", "2001:db8::1/128", "[::1]", "[::1]:80", "[fe80::]/10", "::ffff:10.0.0.1",
        "::ffff:10.0.0.0/104", "example.com", "localhost", "a", "a-b.c_d", "xn--bcher-kva.example.", "1a", "10.com",
    };
    static const char *const bad[] = {
        "", ":", ":0", ":65536", ":80a", ": 80", ":000080", "10.0.0", "10.0.0.0.0", "256.1.1.1", "010.0.0.1",
        "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8:80", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:99999",
        "::1/129", ":::", "fe80::1%eth0", "[::1", "[]", "[10.0.0.1]", "[::1]:", "[::1]80", "[::1]:x", "::1/1/1",
        "example.com:80", "a..b", ".a", "..", ".", "a b", "a/b", "b\xc3\xbc.de", "*", "*.example.com", "http://a",
        "1.2.3.4.", "80", "1", "a.1", "a\n", "10.0.0.1\n", "1111:2222:3333:4444:5555:6666:7777:8888:9999",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!reads(good[i]))
            fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (reads(bad[i]))
            fail_msg("%s was taken", bad[i]);
}

static void test_addresses(void **state)
{
    assert_true(has("127.0.0.1", "127.0.0.1", 80));
    assert_false(has("127.0.0.1", "127.0.0.2", 80));
    assert_true(has("127.0.0.1:80", "127.0.0.1", 80));
    assert_false(has("127.0.0.1:80", "127.0.0.1", 81));
    assert_true(has(":80", "127.0.0.1", 80));
    assert_true(has(":80", "::1", 80));
    assert_false(has(":80", "::1", 8080));
    assert_true(has("[::1]:80", "::1", 80));
    assert_false(has("[::1]:80", "::1", 81));
    assert_false(has("[::1]:80", "::2", 80));
    assert_true(has("10.0.0.1, ::1 ,\t:9", "::1", 1));
    assert_true(has("10.0.0.1,::1,:9", "1.1.1.1", 9));
    assert_false(has("10.0.0.1,::1,:9", "1.1.1.1", 8));
    assert_false(has("", "1.1.1.1", 8));
    assert_false(has("name", "127.0.0.1", 80));
}

static void test_prefixes(void **state)
{
    assert_true(has("10.0.0.0/8", "10.255.255.255", 1));
    assert_false(has("10.0.0.0/8", "11.0.0.0", 1));
    assert_true(has("10.128.0.0/9", "10.200.0.0", 1));
    assert_false(has("10.128.0.0/9", "10.127.0.0", 1));
    assert_true(has("10.0.0.6/31", "10.0.0.7", 1)); /* bits behind the prefix do not count */
    assert_true(has("10.0.0.7/31", "10.0.0.6", 1));
    assert_false(has("10.0.0.7/32", "10.0.0.6", 1));
    assert_true(has("0.0.0.0/0", "1.2.3.4", 1));
    assert_false(has("0.0.0.0/0", "::1", 1));
    assert_true(has("::/0", "2001:db8::1", 1));
    assert_false(has("::/0", "1.2.3.4", 1));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::", 1));
    assert_false(has("2001:db8::/33", "2001:db8:8000::", 1));
}

/* A socket of the other family that is connected to the same place. */
static void test_mapped(void **state)
{
    assert_true(has("127.0.0.1", "::ffff:127.0.0.1", 80));
    assert_true(has("::ffff:127.0.0.1", "127.0.0.1", 80));
    assert_true(has("::ffff:10.0.0.0/104", "10.9.9.9", 80));
    assert_false(has("::ffff:10.0.0.0/104", "11.9.9.9", 80));
    assert_false(has("::ffff:0:0/95", "10.9.9.9", 80));
}

static void test_names(void **state)
{
    assert_true(names("example.com", "example.com"));
    assert_true(names("Example.COM", "eXample.com:8080"));
    assert_true(names("example.com.", "example.com"));
    assert_true(names("example.com", "example.com.:80"));
    assert_true(names("a,b,example.com", "b"));
    assert_false(names("example.com", "www.example.com"));
    assert_false(names("example.com", "example.co"));
    assert_false(names("example.com", ""));
    assert_false(names("example.com", ":80"));
    assert_false(names("example.com", "example.com:x"));
    assert_false(names(":80", ":80"));
    assert_false(names("::1", "[::1]"));
    assert_false(names("", ""));
}

static void assert_fault(const char *list, const char *element)
{
    struct slice bad;

    if (filter_check(list, &bad))
        fail_msg("%s was taken", list);
    assert_int_equal(bad.len, strlen(element));
    assert_memory_equal(bad.data, element, bad.len);
    assert_false(filter_read(&filter, list));
    assert_int_equal(filter.count, 0);
}

static void test_faults(void **state)
{
    assert_fault("a,10.0.0.0/33,b", "10.0.0.0/33");
    assert_fault("a,", "");
    assert_fault(",a", "");
    assert_fault("a, ,b", "");
    assert_fault(" ", "");
    assert_fault("a,b c,d", "b c");
}

static void test_bounds(void **state)
{
    static char list[FILTER_NAMES + 2 * FILTER_RULES + 3];
    struct slice bad;

    for (unsigned i = 0; i < FILTER_RULES; i++)
        memcpy(list + 2 * i, "a,", 3);
    list[2 * FILTER_RULES - 1] = '\0';
    assert_true(filter_check(list, &bad));
    strcat(list, ",b");
    assert_fault(list, "b");

    memset(list, 'a', FILTER_NAMES);
    list[FILTER_NAMES] = '\0';
    assert_true(names(list, list));
    memset(list + FILTER_NAMES - 4, '\0', 4);
    strcat(list, ",1.1.1.1,bbbb"); /* an address takes no room */
    assert_true(names(list, "bbbb"));
    strcat(list, ",c");
    assert_fault(list, "c");
}

/* What the text was in is not needed any more. */
static void test_copies(void **state)
{
    char list[] = "example.com,other";

    assert_true(filter_read(&filter, list));
    memset(list, 'x', sizeof(list));
    assert_true(filter_has_name(&filter, text_of("other")));
    assert_int_equal(filter.names, 2);
}

static void test_commands(void **state)
{
    struct slice bad;

    assert_true(list_check_commands("", &bad));
    assert_true(list_check_commands("curl,wget", &bad));
    assert_true(list_check_commands(" a program , b", &bad));
    assert_false(list_check_commands("curl,/usr/bin/wget,x", &bad));
    assert_true(slice_equal(bad, SLICE("/usr/bin/wget")));
    assert_false(list_check_commands("curl,", &bad));
    assert_int_equal(bad.len, 0);
    assert_true(list_has("curl,wget", "wget"));
    assert_true(list_has("curl, a program ,wget", "a program"));
    assert_false(list_has("curl,wget", "wge"));
    assert_false(list_has("curl,wget", "WGET"));
    assert_false(list_has("curl,wget", ""));
    assert_false(list_has("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements), cmocka_unit_test(test_addresses), cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_mapped),   cmocka_unit_test(test_names),     cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bounds),   cmocka_unit_test(test_copies),    cmocka_unit_test(test_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
