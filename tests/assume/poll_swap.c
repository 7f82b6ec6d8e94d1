/* SPDX-License-Identifier: ISC */
/* What a thread in poll or select is told when another socket gets under its number: the kernel waits with the sockets
 * that lay there when the call was made, and looks at the numbers when something wakes it.  A socket of ours that is
 * waited for as well wakes it, and can be made silent again (shim/preload/fds/bell.h). */
#define _GNU_SOURCE
#include "assume.h"

#include <fcntl.h>
#include <sys/select.h>

static int number, bell = -1;

static int in_poll(int ms)
{
    struct pollfd fds[2] = { { .fd = number, .events = POLLIN }, { .fd = bell, .events = POLLIN } };

    return poll(fds, 2, ms) > 0 ? fds[0].revents | fds[1].revents << 16 : 0;
}

static int in_select(int ms)
{
    struct timeval time = { ms / 1000, ms % 1000 * 1000 };
    fd_set in;

    FD_ZERO(&in);
    FD_SET(number, &in);
    if (bell >= 0)
        FD_SET(bell, &in);
    int n = select((number > bell ? number : bell) + 1, &in, NULL, NULL, &time);
    return n > 0 ? FD_ISSET(number, &in) * POLLIN | (bell >= 0 && FD_ISSET(bell, &in)) * POLLIN << 16 : 0;
}

static void *waits(void *how)
{
    return (void *)(long)((int (*)(int))how)(2 * SOON_MS);
}

/* The socket that gets there has something to read, a moment later. */
static void swapped(int (*how)(int), bool rings)
{
    int ours, theirs, other, far, old;

    tcp_pair(&number, &theirs);
    tcp_pair(&other, &far);
    old = fcntl(number, F_DUPFD_CLOEXEC, 100);
    bell = rings ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    pthread_t waiter = begin(waits, (void *)how);
    check(dup3(other, number, O_CLOEXEC) == number && close(old) == 0, "dup3");
    check(!rings || shutdown(bell, SHUT_RD) == 0, "shutdown of a datagram socket that is connected to nothing");
    usleep(SOON_MS * 500);
    check((pthread_tryjoin_np(waiter, NULL) == EBUSY) == !rings, rings ? "the bell wakes it" : "nothing wakes it");
    check(send(far, "x", 1, 0) == 1, "send");
    if (!rings) {
        usleep(SOON_MS * 500);
        check(pthread_tryjoin_np(waiter, NULL) == EBUSY, "what comes to the new socket does not wake it");
        check(finish(waiter) == POLLIN, "when the time is over the numbers are looked at once more");
    } else {
        ours = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        check(poll_for(bell, POLLIN, 0) & POLLIN && dup3(ours, bell, O_CLOEXEC) == bell && !poll_for(bell, POLLIN, 0),
              "another one in its place is silent");
        close(ours), close(bell);
    }
    close(number), close(theirs), close(other), close(far);
}

int main(void)
{
    swapped(in_poll, false);
    swapped(in_select, false);
    swapped(in_poll, true);
    swapped(in_select, true);
    return 0;
}
