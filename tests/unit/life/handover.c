/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* An exchange that goes on in another program: packed before exec, unpacked behind it, in one process.  Whatever the first
 * program has read of the answer, the second one reads the rest, and an end. */
#include "unit/preload/fake_conn.h"

#include "preload/life/handover.h"
#include "preload/life/handover_parcel.h"

#include <sys/mman.h>

static unsigned port = 4000;
static char preload[] = "LD_PRELOAD=/usr/lib/libholdfast.so";

/* The memfd is a real one. */
static int fcntl_both(int fd, int command, ...)
{
    va_list ap;

    va_start(ap, command);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    if (fd < FAKE_FIRST)
        return fcntl(fd, command, argument);
    return fake_fcntl(fd, command, argument);
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    real.fcntl = fcntl_both;
    real.write = write;
    self.forked = false;
    port++;
    return 0;
}

static int teardown(void **state)
{
    unsetenv(HANDOVER_VARIABLE);
    self.forked = false;
    return fake_end(state);
}

static int asked(void)
{
    int fd = fake_open(true);

    fake_connect_to(fd, port);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    return fd;
}

static int open_files(void)
{
    int n = 0;

    for (int fd = 0; fd < FAKE_FIRST; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* exec: this program knows nothing of its sockets any more, and the environment is the one that was packed. */
static void executes(int fd, char *const *packed, char *const *env)
{
    struct conn *c = fake_enter(fd);

    handover_inherit(packed, env);
    conn_bypass(c, REASON_none);
    conn_leave(c);
    assert_null(conn_find(fd));
    for (; *packed; packed++)
        if (strncmp(*packed, HANDOVER_VARIABLE "=", sizeof HANDOVER_VARIABLE) == 0)
            setenv(HANDOVER_VARIABLE, *packed + sizeof HANDOVER_VARIABLE, 1);
}

static size_t reads(int fd, char *out, ssize_t *last)
{
    size_t len = 0;

    while ((*last = fake_receives(fd, out + len, 11)) > 0)
        len += (size_t)*last;
    return len;
}

static void test_each_cut(void **state)
{
    char *env[] = { preload, NULL }, bytes[400], directly[400];
    const size_t whole = strlen(fake_answer);
    size_t total = 0;
    ssize_t last;

    (void)state;
    for (size_t i = 0; i <= whole; i++) {
        int before = open_files(), fd = asked();
        struct fake_socket *s = fake_under(fd);
        fake_arrives(s, fake_answer, i); /* all of it in the last round */
        size_t len = reads(fd, bytes, &last);
        char *const *packed = handover_pack(NULL, env, false);
        if (i == whole) { /* nothing is under way */
            assert_ptr_equal(packed, env);
            assert_int_equal(last, 0);
            total = len;
            memcpy(directly, bytes, len);
            teardown(NULL);
            break;
        }
        assert_true(packed != env);
        assert_string_equal(packed[0], preload);
        executes(fd, packed, env);
        handover_unpack();
        assert_null(getenv(HANDOVER_VARIABLE));
        assert_int_equal(open_files(), before); /* the memfd is closed */
        assert_int_equal(fake_enter(fd)->state, CONN_EXCHANGE);
        conn_leave(conn_find(fd));
        fake_arrives(s, fake_answer + i, whole - i);
        len += reads(fd, bytes + len, &last);
        assert_int_equal(last, 0);
        assert_int_equal(len, strlen("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"));
        assert_true(memmem(bytes, len, "Connection: close\r\n", 19) && memcmp(bytes + len - 6, "\r\n\r\nok", 6) == 0);
        assert_ptr_equal(fake_under(fd), s); /* without a swap: other processes have it, too */
        fake_closes(fd);
        assert_int_equal(s->refs, 0); /* nor is it parked */
        teardown(NULL);
        setup(NULL);
    }
    assert_true(total && memmem(directly, total, "Connection: close", 17));
    setup(NULL);
}

/* A program that cannot take it over: the server is asked to close behind its answer. */
static void test_hopeless(void **state)
{
    char *env[] = { NULL };

    (void)state;
    int fd = asked();
    assert_ptr_equal(handover_pack(NULL, env, false), env);
    assert_true(fake_under(fd)->write_shut);
}

/* A number that is close-on-exec is nobody's business there, but where file actions may hand it down. */
static void test_cloexec(void **state)
{
    char *env[] = { preload, NULL };

    (void)state;
    int fd = asked();
    kernel.cloexec[fd] = true;
    struct conn *c = fake_enter(fd);
    conn_set_cloexec(c, fd, true);
    conn_leave(c);
    assert_ptr_equal(handover_pack(NULL, env, false), env);
    assert_false(fake_under(fd)->write_shut);
    char *const *packed = handover_pack(NULL, env, true);
    assert_true(packed != env);
    handover_done(packed, env);
}

/* A memfd that cannot be written leaves nothing behind: the server is asked to close. */
static ssize_t write_refuses(int fd, const void *bytes, size_t len)
{
    (void)fd;
    (void)bytes;
    (void)len;
    errno = ENOSPC;
    return -1;
}

static void test_no_room(void **state)
{
    char *env[] = { preload, NULL };

    (void)state;
    int fd = asked(), before = open_files();
    real.write = write_refuses;
    errno = 42;
    char *const *packed = handover_pack(NULL, env, false);
    assert_int_equal(errno, 42);
    handover_done(packed, env);
    assert_true(fake_under(fd)->write_shut);
    assert_int_equal(open_files(), before);
}

/* What a stranger puts there is not taken for ours. */
static void test_foreign(void **state)
{
    char value[40];

    (void)state;
    int foreign = memfd_create("something else", MFD_CLOEXEC), before = open_files();
    snprintf(value, sizeof value, "%d,-1,0", foreign);
    setenv(HANDOVER_VARIABLE, value, 1);
    handover_unpack();
    assert_null(getenv(HANDOVER_VARIABLE));
    assert_int_equal(open_files(), before);
    setenv(HANDOVER_VARIABLE, "x", 1);
    handover_unpack();
    setenv(HANDOVER_VARIABLE, "2,-1,0", 1);
    handover_unpack();
    assert_int_equal(open_files(), before);
    close(foreign);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hopeless, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cloexec, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
