/* SPDX-License-Identifier: ISC */
/* A byte that waits in the receive queue outlives a reset that comes behind it: the last byte of a
 * head may be left there. */
#define _GNU_SOURCE
#include "assume.h"

int main(void)
{
    struct linger now = { .l_onoff = 1 };
    int ours, theirs;
    char got[4];

    tcp_pair(&ours, &theirs);
    check(send(theirs, "abc", 3, 0) == 3, "send");
    check(recv(ours, got, 2, 0) == 2, "all but one are read");
    need(setsockopt(theirs, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0, "SO_LINGER");
    close(theirs);
    check(poll_for(ours, 0, LATE_MS) & POLLHUP, "the reset arrives");
    check(poll_for(ours, POLLIN, 0) & POLLIN, "the fd is readable");
    check(recv(ours, got, sizeof(got), 0) == 1 && got[0] == 'c', "the byte is there");
    errno = 0;
    check(recv(ours, got, sizeof(got), 0) == -1 && errno == ECONNRESET, "and then the reset");
    return 0;
}
