/* SPDX-License-Identifier: ISC */
/* shutdown(SHUT_RD) shows an end of file on a connection that goes on, and wakes those who wait. */
#define _GNU_SOURCE
#include "assume.h"

static void *wait_in_poll(void *fd)
{
    return (void *)(long)poll_for(*(int *)fd, POLLIN | POLLRDHUP, LATE_MS);
}

static void *wait_in_recv(void *fd)
{
    char byte;

    return (void *)(long)recv(*(int *)fd, &byte, 1, 0);
}

int main(void)
{
    int ours, theirs;
    char byte;
    pthread_t poller, reader;

    tcp_pair(&ours, &theirs);
    poller = begin(wait_in_poll, &ours);
    reader = begin(wait_in_recv, &ours);
    check(shutdown(ours, SHUT_RD) == 0, "shutdown(SHUT_RD)");
    check(finish(poller) == (POLLIN | POLLRDHUP), "a thread in poll wakes up, with IN and RDHUP");
    check(finish(reader) == 0, "a thread in recv wakes up, with 0");
    check(read(ours, &byte, 1) == 0, "reads give 0");
    check(poll_for(ours, POLLIN | POLLOUT | POLLRDHUP, 0) == (POLLIN | POLLOUT | POLLRDHUP),
          "poll says IN, OUT, RDHUP and no HUP");
    check(send(ours, "x", 1, MSG_NOSIGNAL) == 1 && recv(theirs, &byte, 1, 0) == 1, "sending goes on");
    return 0;
}
