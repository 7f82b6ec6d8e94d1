/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* What a client's own transport sends first is kept back if it is what is expected, and nothing else is. */
#include "unit/preload/fake_conn.h"

#include "preload/wire/secured.h"

static const char hello[] = "\x16\x03\x01\x00\x05hello", other[] = "\x16\x03\x01\x00\x05hullo";
enum { LEN = sizeof hello - 1 };
static unsigned port = 7000;

static int opened(bool nonblocking)
{
    int fd = fake_open(nonblocking);

    fake_connect_to(fd, ++port);
    return fd;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

/* The next bytes of `fd` go out, and belong to nobody here. */
static void goes_out(int fd, const char *bytes, size_t len)
{
    struct fake_socket *s = fake_under(fd);

    assert_int_equal(fake_sends(fd, bytes, len), (ssize_t)len);
    assert_int_equal(s->out_len, len);
    assert_memory_equal(s->out, bytes, len);
    fake_closes(fd);
}

static void test_kept_back(void **state)
{
    int fd = opened(true);
    void *kept = NULL;

    (void)state;
    secured_expect(hello, LEN);
    assert_int_equal(fake_sends(fd, hello, LEN), LEN);
    assert_int_equal(fake_under(fd)->out_len, 0);
    assert_int_equal(secured_expected(), fd);
    assert_int_equal(secured_find(fd, &kept), SECURE_OWN); /* as before */
    goes_out(fd, hello, LEN);                               /* it is expected no more */
    fake_end(NULL);
}

static void test_not_kept_back(void **state)
{
    const struct {
        const char *bytes;
        size_t len;
        bool nonblocking;
    } cases[] = { { other, LEN, true }, { hello, LEN - 1, true }, { hello, LEN, false } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = opened(cases[i].nonblocking);
        secured_expect(hello, LEN);
        goes_out(fd, cases[i].bytes, cases[i].len);
        assert_int_equal(secured_expected(), -1);
        fake_end(NULL);
        setup(NULL);
    }
}

/* Whoever sends the same once more has it sent. */
static void test_once(void **state)
{
    int first = opened(true), second = opened(true);

    (void)state;
    secured_expect(hello, LEN);
    assert_int_equal(fake_sends(first, hello, LEN), LEN);
    goes_out(second, hello, LEN);
    assert_int_equal(secured_expected(), first);
    fake_end(NULL);
}

/* A request is no business of it. */
static void test_request(void **state)
{
    int fd = opened(true);

    (void)state;
    secured_expect(fake_request, strlen(fake_request));
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    assert_int_equal(secured_expected(), -1);
    fake_end(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_kept_back, setup),
        cmocka_unit_test_setup(test_not_kept_back, setup),
        cmocka_unit_test_setup(test_once, setup),
        cmocka_unit_test_setup(test_request, setup),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
