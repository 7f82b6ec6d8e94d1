/* SPDX-License-Identifier: ISC */
/* A thread that waits in a call holds on to the socket that was under the fd when it went in: a swap
 * does not wake it, and in recv it takes what arrives there.  Shutting the old socket down does wake
 * it.  A poller that is woken by a byte looks at what is under the fd by then. */
#define _GNU_SOURCE
#include "assume.h"

#include <fcntl.h>

static void *wait_in_poll(void *fd)
{
    return (void *)(long)poll_for(*(int *)fd, POLLIN, LATE_MS);
}

/* The order that loses nobody: the byte that ends a response is queued, the swap, and only then is the
 * byte taken out.  Whoever is woken by the byte looks at the fd number anew, and finds the end. */
static void poller_finds_the_end(void)
{
    int ours, theirs, far, ended = ended_socket(&far), old;
    pthread_t waiter;
    char byte;

    tcp_pair(&ours, &theirs);
    old = fcntl(ours, F_DUPFD_CLOEXEC, 100);
    need(pthread_create(&waiter, NULL, wait_in_poll, &ours) == 0, "pthread_create");
    usleep(300);
    check(send(theirs, "x", 1, 0) == 1, "send");
    check(dup3(ended, ours, 0) == ours, "dup3");
    check(recv(old, &byte, 1, 0) == 1, "the byte is drained");
    check(finish(waiter) == POLLIN, "a thread in poll is woken");
    close(ended), close(far), close(ours), close(theirs), close(old);
}

static void *wait_in_recv(void *fd)
{
    char byte = 0;

    return (void *)(recv(*(int *)fd, &byte, 1, 0) == 1 ? (long)byte : 0L);
}

struct swapped {
    int fd, old, theirs;
    pthread_t waiter;
};

/* A thread is inside `wait` when an ended socket is put under its fd. */
static struct swapped swap_under(void *(*wait)(void *), int *fd)
{
    struct swapped s;
    int far, ended = ended_socket(&far);

    tcp_pair(fd, &s.theirs);
    s.waiter = begin(wait, fd);
    s.fd = *fd;
    s.old = fcntl(s.fd, F_DUPFD_CLOEXEC, 100);
    check(dup3(ended, s.fd, 0) == s.fd, "dup3");
    usleep(SOON_MS * 1000);
    check(pthread_tryjoin_np(s.waiter, NULL) == EBUSY, "the swap wakes nobody");
    return s;
}

int main(void)
{
    int fd;
    struct swapped s = swap_under(wait_in_recv, &fd);

    check(send(s.theirs, "s", 1, 0) == 1 && finish(s.waiter) == 's',
          "a thread in recv takes what comes to the old socket");

    s = swap_under(wait_in_recv, &fd);
    check(shutdown(s.old, SHUT_RDWR) == 0 && finish(s.waiter) == 0,
          "shutdown of the old socket wakes a thread in recv");

    s = swap_under(wait_in_poll, &fd);
    check(shutdown(s.old, SHUT_RDWR) == 0 && (finish(s.waiter) & POLLIN), "and one in poll");
    for (int i = 0; i < 400; i++)
        poller_finds_the_end();
    return 0;
}
