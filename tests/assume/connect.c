/* SPDX-License-Identifier: ISC */
/* What a non-blocking connect to loopback tells its caller: EINPROGRESS, although it is done at once;
 * writable, SO_ERROR 0; a second connect 0 and a third EISCONN. */
#define _GNU_SOURCE
#include "assume.h"

enum { TIMES = 200 };

int main(void)
{
    struct sockaddr_in at;
    int listener = listen_here(&at), error;
    socklen_t size;

    for (int i = 0; i < TIMES; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        errno = 0;
        check(connect(fd, (struct sockaddr *)&at, sizeof(at)) == -1 && errno == EINPROGRESS, "EINPROGRESS");
        check(poll_for(fd, POLLOUT, LATE_MS) == POLLOUT, "writable");
        size = sizeof(error);
        check(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0, "SO_ERROR is 0");
        check(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "the second connect gives 0");
        errno = 0;
        check(connect(fd, (struct sockaddr *)&at, sizeof(at)) == -1 && errno == EISCONN, "the third EISCONN");
        close(fd);
        close(accept(listener, NULL, NULL));
    }
    return 0;
}
