/* SPDX-License-Identifier: ISC */
/* endpoint: from socket addresses to keys and to text. */
#define _GNU_SOURCE
#include "pool/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static struct sockaddr_in in(const char *address, unsigned port)
{
    struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    assert_int_equal(inet_pton(AF_INET, address, &in4.sin_addr), 1);
    return in4;
}

static struct sockaddr_in6 in6(const char *address, unsigned port, unsigned scope)
{
    struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_scope_id = scope };

    assert_int_equal(inet_pton(AF_INET6, address, &to.sin6_addr), 1);
    return to;
}

static struct endpoint from4(const char *address, unsigned port)
{
    struct sockaddr_in from = in(address, port);
    struct endpoint e;

    assert_int_equal(endpoint_from(&e, (struct sockaddr *)&from, sizeof(from)), 0);
    return e;
}

static struct endpoint from6(const char *address, unsigned port, unsigned scope)
{
    struct sockaddr_in6 from = in6(address, port, scope);
    struct endpoint e;

    assert_int_equal(endpoint_from(&e, (struct sockaddr *)&from, sizeof(from)), 0);
    return e;
}

static int refuse(const void *address, size_t len)
{
    /* Of exactly this size, so that the sanitizer sees a byte too many. */
    void *copy = malloc(len ? len : 1);
    struct endpoint e;
    int error;

    memcpy(copy, address, len);
    error = endpoint_from(&e, copy, (socklen_t)len);
    free(copy);
    return error;
}

static void test_v4(void **state)
{
    struct endpoint e = from4("192.0.2.7", 8080), expected = { .family = AF_INET, .port = htons(8080) };

    memcpy(expected.address, (uint8_t[]){ 192, 0, 2, 7 }, 4);
    assert_memory_equal(&e, &expected, sizeof(e));
}

static void test_v6(void **state)
{
    struct sockaddr_in6 from = in6("fe80::1", 443, 3);
    struct endpoint e, expected = { .family = AF_INET6, .port = htons(443), .scope = 3, .flow = htonl(5) };

    from.sin6_flowinfo = htonl(5);
    expected.address[0] = 0xfe;
    expected.address[1] = 0x80;
    expected.address[15] = 1;
    assert_int_equal(endpoint_from(&e, (struct sockaddr *)&from, sizeof(from)), 0);
    assert_memory_equal(&e, &expected, sizeof(e));
    /* RFC 2133's shape, which ends before the scope. */
    expected.scope = 0;
    assert_int_equal(endpoint_from(&e, (struct sockaddr *)&from, 24), 0);
    assert_memory_equal(&e, &expected, sizeof(e));
}

static void test_refused(void **state)
{
    struct sockaddr_in v4 = in("127.0.0.1", 80), any4 = in("0.0.0.0", 80), no_port4 = in("127.0.0.1", 0);
    struct sockaddr_in6 v6 = in6("::1", 80, 0), any6 = in6("::", 80, 0), no_port6 = in6("::1", 0, 0);
    struct sockaddr_in6 mapped_any = in6("::ffff:0.0.0.0", 80, 0);
    struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "/run/x" };
    struct sockaddr unspecified = { .sa_family = AF_UNSPEC };

    for (size_t len = 0; len < sizeof(v4); len++)
        assert_int_equal(refuse(&v4, len), -EINVAL);
    assert_int_equal(refuse(&v4, sizeof(v4)), 0);
    for (size_t len = 0; len < 24; len++)
        assert_int_equal(refuse(&v6, len), -EINVAL);
    for (size_t len = 24; len <= sizeof(v6); len++)
        assert_int_equal(refuse(&v6, len), 0);
    assert_int_equal(refuse(&any4, sizeof(any4)), -EINVAL);
    assert_int_equal(refuse(&any6, sizeof(any6)), -EINVAL);
    assert_int_equal(refuse(&mapped_any, sizeof(mapped_any)), -EINVAL);
    assert_int_equal(refuse(&no_port4, sizeof(no_port4)), -EINVAL);
    assert_int_equal(refuse(&no_port6, sizeof(no_port6)), -EINVAL);
    assert_int_equal(refuse(&local, sizeof(local)), -EAFNOSUPPORT);
    assert_int_equal(refuse(&unspecified, sizeof(unspecified)), -EAFNOSUPPORT);
    assert_int_equal(refuse(&local, 2), -EAFNOSUPPORT);
}

static void test_equal(void **state)
{
    struct endpoint a = from6("2001:db8::1", 80, 0), mapped = from6("::ffff:127.0.0.1", 80, 0);
    struct endpoint plain = from4("127.0.0.1", 80);

    for (size_t i = 0; i < sizeof(a); i++) {
        struct endpoint b = a;

        assert_true(endpoint_equal(&a, &b));
        assert_int_equal(endpoint_hash(&a), endpoint_hash(&b));
        ((unsigned char *)&b)[i] ^= 1;
        assert_false(endpoint_equal(&a, &b));
        assert_int_not_equal(endpoint_hash(&a), endpoint_hash(&b));
    }
    assert_false(endpoint_equal(&mapped, &plain)); /* sockets of different families */
}

/* The low bits pick the bucket: neighbours in address and port must not share a few of them. */
static void test_hash_spreads(void **state)
{
    static unsigned hits[1024];
    unsigned most = 0;

    for (unsigned i = 0; i < 4096; i++) {
        struct endpoint e = from4("10.0.0.1", 80);

        e.address[2] = (uint8_t)(i >> 6);
        e.port = htons((uint16_t)(8000 + i % 64));
        hits[endpoint_hash(&e) % 1024]++;
    }
    for (unsigned i = 0; i < 1024; i++)
        most = hits[i] > most ? hits[i] : most;
    assert_in_range(most, 4, 20); /* 4 on the average */
}

static void test_place(void **state)
{
    struct endpoint v4 = { .family = AF_INET, .port = 80, .address = { 10, 0, 0, 1 } }, mapped = { .port = 80 };
    struct endpoint other = v4;

    (void)state;
    mapped.family = AF_INET6;
    mapped.address[10] = mapped.address[11] = 0xff;
    memcpy(mapped.address + 12, v4.address, 4);
    mapped.uid = 5;
    mapped.options = 9;
    mapped.netns = 3;
    assert_true(endpoint_same_place(&v4, &mapped));
    assert_int_equal(endpoint_place_hash(&v4), endpoint_place_hash(&mapped));
    other.port = 81;
    assert_false(endpoint_same_place(&v4, &other));
    assert_int_not_equal(endpoint_place_hash(&v4), endpoint_place_hash(&other));
    other = v4;
    other.address[3] = 2;
    assert_false(endpoint_same_place(&v4, &other));
    mapped.scope = 2;
    assert_false(endpoint_same_place(&v4, &mapped));
}

static void assert_texts(struct endpoint e, const char *text, const char *authority)
{
    char out[ENDPOINT_TEXT_MAX];

    memset(out, 'x', sizeof(out));
    assert_int_equal(endpoint_text(&e, out), strlen(text));
    assert_string_equal(out, text);
    memset(out, 'x', sizeof(out));
    assert_int_equal(endpoint_authority(&e, out), strlen(authority));
    assert_string_equal(out, authority);
}

static void test_text(void **state)
{
    assert_texts(from4("127.0.0.1", 8080), "127.0.0.1:8080", "127.0.0.1:8080");
    assert_texts(from4("127.0.0.1", 80), "127.0.0.1:80", "127.0.0.1");
    assert_texts(from4("255.255.255.255", 65535), "255.255.255.255:65535", "255.255.255.255:65535");
    assert_texts(from6("::1", 8080, 0), "[::1]:8080", "[::1]:8080");
    assert_texts(from6("::1", 80, 0), "[::1]:80", "[::1]");
    assert_texts(from6("fe80::1", 81, 2), "[fe80::1%2]:81", "[fe80::1]:81");
    assert_texts(from6("::ffff:127.0.0.1", 80, 0), "[::ffff:127.0.0.1]:80", "127.0.0.1");
    assert_texts(from6("::ffff:127.0.0.1", 8080, 0), "[::ffff:127.0.0.1]:8080", "127.0.0.1:8080");
    assert_texts(from6("2001:db8:1111:2222:3333:4444:5555:6666", 65535, 4294967295u),
                 "[2001:db8:1111:2222:3333:4444:5555:6666%4294967295]:65535",
                 "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v4),    cmocka_unit_test(test_v6),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_equal), cmocka_unit_test(test_place), cmocka_unit_test(test_hash_spreads), cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
