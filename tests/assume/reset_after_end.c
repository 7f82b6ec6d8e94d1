/* SPDX-License-Identifier: ISC */
/* What is sent to a peer that has closed is answered by a reset.  Behind the peer's end that is EPIPE, which waits tell by
 * POLLERR until somebody takes it; a receive takes it not, and gives the end as before. */
#define _GNU_SOURCE
#include "assume.h"

int main(void)
{
    const short all = POLLIN | POLLOUT | POLLRDHUP;
    int ours, theirs, error = 0;
    socklen_t len = sizeof error;
    char byte = 0;

    tcp_pair(&ours, &theirs);
    close(theirs);
    check(poll_for(ours, POLLRDHUP, LATE_MS) == POLLRDHUP, "the end arrives, and no POLLHUP");
    check(send(ours, &byte, 1, MSG_NOSIGNAL) == 1, "what is sent then is taken");
    check(poll_for(ours, 0, LATE_MS) == (POLLERR | POLLHUP), "and answered by a reset");
    for (int i = 0; i < 3; i++)
        check(recv(ours, &byte, 1, 0) == 0, "a receive gives the end");
    check(poll_for(ours, all, 0) == (all | POLLERR | POLLHUP), "and leaves the error where it is");
    check(shutdown(ours, SHUT_WR) == -1 && errno == ENOTCONN, "there is nothing to shut down");
    check(getsockopt(ours, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == EPIPE, "the error is EPIPE");
    check(poll_for(ours, all, 0) == (all | POLLHUP), "told once");
    check(send(ours, &byte, 1, MSG_NOSIGNAL) == -1 && errno == EPIPE, "a send says it for ever");
    return 0;
}
