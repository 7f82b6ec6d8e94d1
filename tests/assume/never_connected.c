/* SPDX-License-Identifier: ISC */
/* Where there is no loopback: a TCP socket that was never connected reads as an end of file after
 * shutdown, which fails and takes effect all the same.  But it says POLLHUP, asked for or not. */
#define _GNU_SOURCE
#include "assume.h"

int main(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char byte;

    errno = 0;
    check(shutdown(fd, SHUT_RDWR) == -1 && errno == ENOTCONN, "shutdown says ENOTCONN");
    for (int i = 0; i < 3; i++)
        check(read(fd, &byte, 1) == 0, "each read gives 0");
    check(poll_for(fd, POLLIN | POLLRDHUP, 0) == (POLLIN | POLLRDHUP | POLLHUP), "poll says IN, RDHUP, HUP");
    check(poll_for(fd, 0, 0) == POLLHUP, "and HUP to those who ask for nothing");
    return 0;
}
