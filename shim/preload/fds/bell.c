/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/fds/bell.h"

#include "preload/fds/private.h"
#include "preload/libc/cancel.h"
#include "preload/libc/real.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

enum { BELLS = 2, WATCHED_MOST = 16 };

struct lock bell_lock = LOCK_FREE(bell_lock);

static struct {
    atomic_int numbers[BELLS];  /* plus one; 0: not made yet */
    atomic_uint users[BELLS];   /* threads that wait for it */
    atomic_bool ringing[BELLS]; /* set and cleared under the lock */
    atomic_uint rounds;         /* how often any was rung; those who begin now wait for the bell of that number */
    atomic_uint waits_for_many; /* waits for more numbers than are remembered: any swap is theirs */
} bells;

/* What this thread waits for.  Its signal handlers take it over: poll and select end behind a handler anyway. */
static __thread struct {
    bool begun, listens, many;
    unsigned round;
    unsigned count;
    atomic_uint *watched[WATCHED_MOST];
} own;

static unsigned bell_of(unsigned round)
{
    return round % BELLS;
}

static int new_socket(void)
{
    return real.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* -1: the program has taken the number, or there was none. */
static int number_of(unsigned bell)
{
    int number = atomic_load(&bells.numbers[bell]) - 1;

    return number >= 0 && private_is(number) ? number : -1;
}

/* A wait can be cancelled, and is before bell_listen and behind bell_end: not in here, where all would wait for the lock. */
static int make(unsigned bell)
{
    int saved = errno, number = -1, state = cancel_forbid();

    if (!lock_take(&bell_lock)) {
        cancel_allow(state);
        return -1;
    }
    if ((number = number_of(bell)) < 0) {
        int fd = new_socket();
        number = fd < 0 ? -1 : private_move(fd);
        if (fd >= 0 && number < 0)
            real.close(fd);
        atomic_store(&bells.ringing[bell], false);
        atomic_store(&bells.numbers[bell], number + 1);
    }
    lock_give(&bell_lock);
    errno = saved;
    cancel_allow(state);
    return number;
}

/* Under the lock.  Who can have no silent bell has none. */
static void silence(unsigned bell)
{
    int number = number_of(bell), fd = new_socket();

    if (number >= 0 && (fd < 0 || real.dup3(fd, number, O_CLOEXEC) < 0)) {
        private_close(number);
        atomic_store(&bells.numbers[bell], 0);
    }
    if (fd >= 0)
        real.close(fd);
    atomic_store(&bells.ringing[bell], false);
}

/* Either the one that rings sees that nobody is left, or the last that leaves sees that it rings. */
static void leave(unsigned bell)
{
    if (atomic_fetch_sub(&bells.users[bell], 1) != 1 || !atomic_load(&bells.ringing[bell]))
        return;
    int saved = errno, state = cancel_forbid();
    if (lock_take(&bell_lock)) {
        if (atomic_load(&bells.ringing[bell]) && atomic_load(&bells.users[bell]) == 0)
            silence(bell);
        lock_give(&bell_lock);
    }
    errno = saved;
    cancel_allow(state);
}

void bell_begin(void)
{
    bell_end(); /* what a handler has interrupted, or was left by longjmp */
    own.begun = true;
}

void bell_watch(atomic_uint *waiting)
{
    if (own.count < WATCHED_MOST) {
        atomic_fetch_add(waiting, 1);
        own.watched[own.count++] = waiting;
    } else if (!own.many) {
        atomic_fetch_add(&bells.waits_for_many, 1);
        own.many = true;
    }
}

int bell_listen(void)
{
    for (;;) {
        own.round = atomic_load(&bells.rounds);
        atomic_fetch_add(&bells.users[bell_of(own.round)], 1);
        if (atomic_load(&bells.rounds) == own.round)
            break;
        leave(bell_of(own.round));
    }
    own.listens = true;
    int number = number_of(bell_of(own.round));
    return number >= 0 ? number : make(bell_of(own.round));
}

bool bell_end(void)
{
    bool rung = own.listens && atomic_load(&bells.rounds) != own.round;

    if (!own.begun)
        return false;
    while (own.count)
        atomic_fetch_sub(own.watched[--own.count], 1);
    if (own.many)
        atomic_fetch_sub(&bells.waits_for_many, 1);
    if (own.listens)
        leave(bell_of(own.round));
    own.begun = own.listens = own.many = false;
    return rung;
}

static void ring(void)
{
    int saved = errno;

    if (!lock_take(&bell_lock))
        return;
    unsigned bell = bell_of(atomic_load(&bells.rounds));
    int number = number_of(bell);
    atomic_store(&bells.ringing[bell], true);
    atomic_fetch_add(&bells.rounds, 1); /* before anybody is woken, who asks for it at once */
    if (number >= 0)
        real.shutdown(number, SHUT_RD);
    if (atomic_load(&bells.users[bell]) == 0)
        silence(bell);
    lock_give(&bell_lock);
    errno = saved;
}

/* The kernel has put the other socket there before it is asked who waits; who is not seen looks there after that. */
void bell_ring(const atomic_uint *waiting)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(waiting) || atomic_load(&bells.waits_for_many))
        ring();
}

void bell_after_fork(void)
{
    for (unsigned i = 0; i < BELLS; i++) {
        private_close(number_of(i));
        atomic_store(&bells.numbers[i], 0);
        atomic_store(&bells.users[i], 0);
        atomic_store(&bells.ringing[i], false);
    }
    atomic_store(&bells.waits_for_many, 0);
    own.begun = own.listens = own.many = false;
    own.count = 0;
}
