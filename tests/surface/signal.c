/* SPDX-License-Identifier: ISC */
/* Signals in the middle of a blocking call.  The answer takes 150 ms, the signal 50. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static int closing = -1;
static sigjmp_buf back;

static void count(int number)
{
    caught++;
}

static void request(int number)
{
    int saved = errno;

    caught++;
    talk_whole(1);
    errno = saved;
}

static void closes(int number)
{
    int saved = errno;

    caught++;
    close(closing);
    errno = saved;
}

static void jump(int number)
{
    siglongjmp(back, 1);
}

static void arm(void (*handler)(int), int flags, long ms)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
    struct itimerval timer = { .it_value = { 0, ms * 1000 } };

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* One recv that a signal falls into.  With STATE_MIDDLE, what had come of the body is read first. */
static void interrupted(struct talk *t, void (*handler)(int), int flags)
{
    char buf[4096];

    if (t->state == STATE_MIDDLE) { /* has already waited: another exchange */
        struct talk next;
        talk_end(t);
        run.slow = true;
        talk_init(&next);
        run.slow = false;
        talk_reach(&next, STATE_SENT);
        *t = next;
        t->state = STATE_MIDDLE;
    }
    while (!t->in_body && talk_take(t, 1)) /* the body is 150 ms away */
        ;
    arm(handler, flags, 50);
    ssize_t n = recv(t->fd, buf, sizeof buf, 0);
    said("recv", n < 0 ? -1 : n > 0);
    said("caught", caught);
    if (n > 0)
        talk_feed(t, buf, (size_t)n);
    t->state = STATE_MIDDLE;
    talk_end(t);
}

static void *sleeps(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static pthread_t caller;
static volatile sig_atomic_t elsewhere;

static void place(int number)
{
    caught++;
    elsewhere += !pthread_equal(pthread_self(), caller);
}

/* Waiting for the first byte of an answer. */
static void begin_late(struct talk *t)
{
    run.late = true;
    talk_init(t);
    run.late = false;
    talk_reach(t, STATE_SENT);
}

/* A signal to the process, in which another thread sleeps that could take it as well: it falls into the first thread's
 * receive.  `other`: the flags of another signal's handler. */
static void among_threads(int flags, int other)
{
    struct sigaction unused = { .sa_handler = count, .sa_flags = other };
    char buf[4096];
    pthread_t thread;
    struct talk t;

    caller = pthread_self();
    said("thread", pthread_create(&thread, NULL, sleeps, NULL));
    sigaction(SIGUSR1, &unused, NULL);
    begin_late(&t);
    arm(place, flags, 50);
    ssize_t n = recv(t.fd, buf, sizeof buf, 0);
    said("recv", n < 0 ? -1 : n > 0);
    said("caught", caught);
    if (!(flags & SA_RESTART && !(other & SA_RESTART))) /* where there are both, it may be held a moment */
        said("elsewhere", elsewhere);
    if (n > 0)
        talk_feed(&t, buf, (size_t)n);
    talk_end(&t);
}

void op_signal_threads(struct talk *none)
{
    among_threads(0, 0);
}

void op_signal_threads_restart(struct talk *none)
{
    among_threads(SA_RESTART, SA_RESTART);
}

void op_signal_mixed(struct talk *none)
{
    among_threads(0, SA_RESTART);
}

void op_signal_mixed_restart(struct talk *none)
{
    among_threads(SA_RESTART, 0);
}

static void *receives(void *talk)
{
    const struct talk *t = talk;
    char byte;

    return (void *)(intptr_t)recv(t->fd, &byte, 1, MSG_PEEK);
}

void op_cancelled(struct talk *none)
{
    pthread_t thread;
    void *result;
    struct talk t;

    begin_late(&t);
    said("thread", pthread_create(&thread, NULL, receives, &t));
    struct pollfd answer = { .fd = t.fd, .events = POLLIN };
    usleep(50000);
    said("cancel", pthread_cancel(thread));
    pthread_join(thread, &result);
    said("cancelled", result == PTHREAD_CANCELED);
    said("before the answer", poll(&answer, 1, 0) == 0);
    talk_end(&t);
}

void op_signal_restart(struct talk *t)
{
    interrupted(t, count, SA_RESTART);
}

void op_signal_eintr(struct talk *t)
{
    interrupted(t, count, 0);
}

void op_signal_request(struct talk *t)
{
    interrupted(t, request, run.state == STATE_SENT ? SA_RESTART : 0);
}

/* The handler closes another socket, in the middle of its exchange. */
void op_signal_close(struct talk *t)
{
    struct talk other;

    talk_init(&other);
    talk_reach(&other, STATE_MIDDLE);
    closing = other.fd;
    interrupted(t, closes, 0);
}

static bool jumped(struct talk *t)
{
    char buf[100];

    while (!t->in_body && talk_take(t, 1))
        ;
    if (sigsetjmp(back, 1) == 0) {
        arm(jump, 0, 30);
        say("recv came back: %zd", recv(t->fd, buf, sizeof buf, 0));
        return false;
    }
    say("jumped");
    return true;
}

/* Out of recv, and later back to it. */
void op_jump(struct talk *t)
{
    if (t->state == STATE_SENT)
        jumped(t);
    talk_end(t);
}

void op_jump_abandon(struct talk *t)
{
    if (t->state == STATE_SENT)
        jumped(t);
    said("close", close(t->fd));
}

void op_jump_often(struct talk *unused)
{
    for (int i = 0; i < 12; i++) {
        struct talk t;
        run.slow = true;
        talk_init(&t);
        run.slow = false;
        talk_reach(&t, STATE_SENT);
        jumped(&t);
        if (i % 2)
            talk_end(&t);
        else
            said("close", close(t.fd));
        talk_whole(1);
    }
}
