/* SPDX-License-Identifier: ISC */
/* recv(MSG_PEEK | MSG_DONTWAIT) tells an idle connection from one that ended, was reset, or has bytes
 * that nobody asked for. */
#define _GNU_SOURCE
#include "assume.h"

static ssize_t peek(int fd)
{
    char byte;

    errno = 0;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

int main(void)
{
    struct linger now = { .l_onoff = 1 };
    int ours, theirs;

    tcp_pair(&ours, &theirs);
    check(peek(ours) == -1 && errno == EAGAIN, "idle: EAGAIN");
    check(send(theirs, "x", 1, 0) == 1 && poll_for(ours, POLLIN, LATE_MS) == POLLIN, "send");
    check(peek(ours) == 1 && peek(ours) == 1, "bytes: 1, and they stay");
    check(poll_for(ended_socket(&theirs), POLLIN, 0) == POLLIN, "ended: readable");
    check(peek(ended_socket(&theirs)) == 0, "ended: 0");
    tcp_pair(&ours, &theirs);
    need(setsockopt(theirs, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0, "SO_LINGER");
    close(theirs);
    check(poll_for(ours, POLLIN, LATE_MS) & POLLIN, "reset: readable");
    check(peek(ours) == -1 && errno == ECONNRESET, "reset: ECONNRESET");
    return 0;
}
