/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
/* A fork, piece by piece, in one process: what is done before it, and after it in the parent; what is done in the child.
 * And the end of pooling, by exit_retire. */
#include "unit/preload/fake_conn.h"

#include "preload/conn/stall.h"
#include "preload/fds/bell.h"
#include "preload/life/exit.h"
#include "preload/life/fork.h"
#include "preload/share/shared.h"
#include "preload/share/tally.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

static unsigned port = 6000;
static const size_t half = 20; /* of fake_request */

static int setup(void **state)
{
    (void)state;
    fake_reset();
    port += 10;
    self.forked = false;
    return 0;
}

static int teardown(void **state)
{
    self.forked = false;
    self.active = true;
    self.retired = false;
    return fake_end(state);
}

static int asked(unsigned where)
{
    int fd = fake_open(false);

    assert_int_equal(fake_connect_to(fd, where), 0);
    assert_int_equal(fake_sends(fd, fake_request, strlen(fake_request)), (ssize_t)strlen(fake_request));
    return fd;
}

static struct lock *const locks[] = {
#define TAKEN(name) &name,
#define FREED(name)
    LOCK_ORDER(TAKEN, FREED)
#undef TAKEN
#undef FREED
};

enum { LOCKS = sizeof locks / sizeof *locks };

static void locks_are_mine(bool mine)
{
    for (int i = 0; i < LOCKS; i++)
        assert_int_equal(lock_mine(locks[i]), mine);
}

static void test_locks(void **state)
{
    (void)state;
    fork_before();
    locks_are_mine(true);
    fork_after();
    locks_are_mine(false);
    fork_before();
    fork_repair_child();
    locks_are_mine(false);
}

static void fork_in_handler(int unused)
{
    (void)unused;
    fork_before();
}

/* A fork in a signal handler that interrupted a holder: the lock stays its. */
static void test_lock_held(void **state)
{
    const struct sigaction action = { .sa_handler = fork_in_handler };

    (void)state;
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < LOCKS; i++) {
        assert_true(lock_take(locks[i]));
        raise(SIGUSR1);
        fork_after();
        assert_true(lock_mine(locks[i]));
        lock_give(locks[i]);
        locks_are_mine(false);
    }
}

/* Half a head that is held back goes out, once, as it is; libc alone has the socket then. */
static void test_half_head(void **state)
{
    (void)state;
    int fd = fake_open(false);
    fake_connect_to(fd, port);
    struct fake_socket *s = fake_under(fd);
    assert_int_equal(fake_sends(fd, fake_request, half), (ssize_t)half);
    size_t before = s->out_len;
    assert_true(before < half);
    fork_before();
    fork_after();
    assert_int_equal(s->out_len, half);
    assert_memory_equal(s->out, fake_request, half);
    assert_null(conn_find(fd));
    assert_ptr_equal(fake_under(fd), s);
    real.close(fd);
}

/* A lease that has sent nothing gets a connection of its own: what two processes have could not be mended. */
static void test_lease(void **state)
{
    (void)state;
    fake_closes(fake_exchange(port));
    int fd = fake_open(false);
    assert_int_equal(fake_connect_to(fd, port), 0);
    assert_int_equal(conn_find(fd)->state, CONN_LEASED);
    const struct fake_socket *idle = fake_under(fd);
    fork_before();
    fork_after();
    assert_true(fake_under(fd) != idle && fake_under(fd)->connected);
    assert_int_equal(conn_find(fd)->state, CONN_FRESH);
    assert_false(conn_find(fd)->reused);
    assert_int_equal(idle->refs, 0); /* and nobody has that one */
}

/* An exchange under way: both sides may go on, neither parks it, and its client finds the end. */
static void test_exchange(void **state)
{
    char bytes[200];

    (void)state;
    int fd = asked(port);
    struct fake_socket *s = fake_under(fd);
    fork_before();
    fork_after();
    assert_true(conn_find(fd)->copied && self.forked);
    fake_arrives(s, fake_answer, strlen(fake_answer));
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), 0);
    assert_int_equal(conn_find(fd)->state, CONN_ENDED);
    assert_ptr_equal(fake_under(fd), s); /* no other socket comes under a number that two have */
    fake_closes(fd);
    assert_int_equal(s->refs, 0);
}

/* What is deferred is done before: the child would not know of it. */
static void test_deferred(void **state)
{
    (void)state;
    int fd = fake_exchange(port);
    const struct fake_socket *s = fake_under(fd);
    assert_true(conn_find(fd)->state == CONN_ENDED_UNSWAPPED);
    fork_before();
    fork_after();
    assert_int_equal(conn_deferred, 0);
    assert_true(fake_under(fd) != s && s->refs == 1);
}

/* The child closes its copies of what is idle, so that the server learns nothing of it: no shutdown. */
static void test_child(void **state)
{
    (void)state;
    fake_closes(fake_exchange(port));
    struct fake_socket *idle = &kernel.sockets[1];
    assert_int_equal(idle->refs, 1);
    idle->refs++; /* the parent's */
    int fd = asked(port + 1), waiting = asked(port + 2);
    assert_true(stall_any() && conn_find(waiting)->waiter.ticket);
    struct conn *c = fake_enter(fd);
    c->use.inside = 1; /* a thread that the child does not have */
    c->trial = TRIAL_SECOND;
    c->fds.private_fd = private_dup(fd);
    conn_leave(c);

    fake_log_begin();
    fork_repair_child();
    assert_null(strstr(kernel.log, "shutdown"));
    assert_int_equal(idle->refs, 1);
    idle->refs = 0;
    assert_false(stall_any() || conn_find(waiting)->waiter.ticket);
    assert_true(c->copied && c->use.inside == 0 && c->trial == TRIAL_NONE && c->fds.private_fd == -1);
    assert_int_equal(c->unparkable, REASON_crossed_fork);

    int again = fake_open(false); /* nothing is left to be lent */
    assert_int_equal(fake_connect_to(again, port), 0);
    assert_int_equal(conn_find(again)->state, CONN_FRESH);
}

/* A program that is started shares what is not close-on-exec; or all, where file actions may hand it down. */
static void test_spawned(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        int shared = asked(port), kept = asked(port + 1);
        struct conn *c = fake_enter(kept);
        conn_set_cloexec(c, kept, true);
        conn_leave(c);
        fork_spawned(all);
        assert_true(conn_find(shared)->copied);
        assert_int_equal(conn_find(kept)->copied, all);
        teardown(NULL);
        setup(NULL);
    }
}

/* A filter of system calls is about to be installed: nothing is idle, nothing is tracked but what is under way. */
static void test_retire(void **state)
{
    char bytes[200];

    (void)state;
    fake_closes(fake_exchange(port));
    int fresh = fake_open(false), fd = asked(port + 1);
    struct fake_socket *s = fake_under(fd);
    exit_retire();
    assert_false(self.active);
    assert_true(self.retired);
    assert_int_equal(kernel.sockets[1].refs, 0);
    assert_null(conn_find(fresh));
    assert_non_null(fake_under(fresh));
    fake_arrives(s, fake_answer, strlen(fake_answer));
    assert_true(fake_receives(fd, bytes, sizeof bytes) > 0);
    assert_int_equal(fake_receives(fd, bytes, sizeof bytes), 0);
    assert_ptr_equal(fake_under(fd), s); /* without a swap */
    real.close(fresh);
}

static atomic_int step; /* 1: the other thread holds the conn; 2: it may give it */

static void *change(void *number)
{
    struct conn *c = fake_enter(*(int *)number);

    atomic_store(&step, 1);
    while (atomic_load(&step) != 2)
        sched_yield();
    conn_leave(c);
    return NULL;
}

/* What another thread is in the middle of at the fork is nobody's in the child. */
static void test_torn(void **state)
{
    pthread_t thread;

    (void)state;
    int fd = fake_open(false), own = fake_open(false), other = fake_open(false);
    fake_connect_to(fd, port);
    assert_int_equal(pthread_create(&thread, NULL, change, &fd), 0);
    while (atomic_load(&step) != 1)
        sched_yield();
    struct conn *torn = conn_find(fd), *mine = fake_enter(own);
    fork_before();
    assert_true(lock_is_others(&torn->lock));
    fork_repair_child();
    assert_null(conn_find(fd));
    assert_int_equal(torn->state, CONN_FREE);
    assert_ptr_equal(conn_find(own), mine); /* the thread that forks goes on with it */
    assert_non_null(conn_find(other));
    assert_false(lock_mine(&mine->lock) || lock_is_others(&torn->lock));
    atomic_store(&step, 2);
    pthread_join(thread, NULL);
    real.close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_locks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_head, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exchange, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deferred, setup, teardown),
        cmocka_unit_test_setup_teardown(test_child, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spawned, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retire, setup, teardown),
    };

    return cmocka_run_group_tests(tests, fake_begin, NULL);
}
