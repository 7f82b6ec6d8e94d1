/* SPDX-License-Identifier: ISC */
/* The word is the holder's number, set in one step with the taking, and a bit that says that somebody
 * may be asleep (the scheme of Drepper, "Futexes Are Tricky").  The number is not the kernel's thread
 * id, which changes under a thread that forks and costs a call to ask for. */
#define _GNU_SOURCE
#include "base/lock.h"

#include "base/syscalls.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <unistd.h>

#define WAITED_FOR 0x80000000u

__thread uint32_t lock_own_number;
static _Atomic uint32_t last_number;

static uint32_t number(void)
{
    /* A signal handler in between makes this thread count twice, which does no harm: the number is
     * settled before the lock is looked at. */
    while (lock_own_number == 0)
        lock_own_number = (atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1) & ~WAITED_FOR;
    return lock_own_number;
}

static void futex(struct lock *lock, int operation, uint32_t value)
{
    int saved = errno;

    syscall(SYS_futex, &lock->word, operation, value, NULL, NULL, 0);
    errno = saved;
}

/* Whether the caller may go to sleep on `*seen`: somebody else holds the lock, and it is marked. */
static bool mark(struct lock *lock, uint32_t *seen)
{
    if (*seen == 0)
        return false;
    if (*seen & WAITED_FOR)
        return true;
    if (!atomic_compare_exchange_strong_explicit(&lock->word, seen, *seen | WAITED_FOR, memory_order_relaxed,
                                                 memory_order_relaxed))
        return false;
    *seen |= WAITED_FOR;
    return true;
}

void lock_init(struct lock *lock)
{
    atomic_store(&lock->word, 0);
    lock_order_reset(lock);
}

bool lock_take_among(struct lock *lock)
{
    uint32_t own = number(), seen = 0, mine = own;

    lock_order_wants(lock);
    while (!atomic_compare_exchange_strong_explicit(&lock->word, &seen, mine, memory_order_acquire,
                                                    memory_order_relaxed)) {
        if ((seen & ~WAITED_FOR) == own)
            return false;
        if (mark(lock, &seen)) {
            futex(lock, FUTEX_WAIT_PRIVATE, seen);
            mine = own | WAITED_FOR; /* others may be asleep as well */
        }
        seen = 0;
    }
    lock_order_has(lock);
    return true;
}

bool lock_is_others(const struct lock *lock)
{
    return atomic_load_explicit(&lock->word, memory_order_relaxed) && !lock_mine(lock);
}

bool lock_mine(const struct lock *lock)
{
    return lock_own_number && (atomic_load_explicit(&lock->word, memory_order_relaxed) & ~WAITED_FOR) == lock_own_number;
}

void lock_give_among(struct lock *lock)
{
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) & WAITED_FOR)
        futex(lock, FUTEX_WAKE_PRIVATE, 1);
}
