/* SPDX-License-Identifier: ISC */
/* TCP_USER_TIMEOUT (tcp(7)) is a clock for what is not acknowledged, and for nothing else: with 100 ms a connection
 * whose bytes nobody acknowledges breaks within a second, by ETIMEDOUT, and wakes who polls; one whose bytes were
 * acknowledged waits on.  In a network namespace of its own, whose loopback goes down. */
#define _GNU_SOURCE
#include "assume.h"

#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <time.h>

enum { PATIENCE_MS = 100, MOST_MS = 1000 };

static void loopback(bool up)
{
    struct ifreq request = { .ifr_name = "lo" };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    need(ioctl(fd, SIOCGIFFLAGS, &request) == 0, "SIOCGIFFLAGS");
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    need(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "SIOCSIFFLAGS");
    close(fd);
}

int main(void)
{
    unsigned patience = PATIENCE_MS;
    int ours, theirs;
    char byte;

    need(unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0, "unshare");
    loopback(true);
    tcp_pair(&ours, &theirs);
    need(setsockopt(ours, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience) == 0, "TCP_USER_TIMEOUT");
    check(send(ours, "x", 1, 0) == 1 && poll_for(ours, POLLIN, MOST_MS) == 0, "acknowledged and unanswered: it waits");
    loopback(false);
    check(send(ours, "x", 1, 0) == 1, "a send succeeds without a route");
    check(poll_for(ours, POLLIN, MOST_MS) & POLLERR, "it breaks within a second");
    check(recv(ours, &byte, 1, 0) == -1 && errno == ETIMEDOUT, "ETIMEDOUT");
    loopback(true);
    check(poll_for(theirs, POLLERR, 0) == 0 && recv(theirs, &byte, 1, MSG_DONTWAIT) == 1, "the first byte arrived");
    check(poll_for(theirs, POLLIN, SOON_MS) == 0, "the second is not sent later");
    return 0;
}
