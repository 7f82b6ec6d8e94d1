/* SPDX-License-Identifier: ISC */
/* splice from a TCP socket into a pipe: whether it waits for bytes is the socket's O_NONBLOCK alone, whether it waits for a
 * slot of the pipe SPLICE_F_NONBLOCK; the slot comes first, also where the socket has nothing but its end; and sendfile
 * does the same, into a pipe only. */
#define _GNU_SOURCE
#include "assume.h"

#include <fcntl.h>
#include <sys/sendfile.h>

static int ours, theirs, ends[2];

static void *splice_later(void *flags)
{
    ssize_t n = splice(ours, NULL, ends[1], NULL, 1000, (unsigned)(long)flags);

    return (void *)(long)(n < 0 ? -errno : n);
}

static void fill(void)
{
    static char page[4096];

    need(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    while (write(ends[1], page, sizeof page) > 0)
        ;
    need(errno == EAGAIN && fcntl(ends[1], F_SETFL, 0) == 0, "a full pipe");
}

int main(void)
{
    int end;

    need(pipe(ends) == 0, "pipe");
    tcp_pair(&ours, &theirs);
    pthread_t thread = begin(splice_later, (void *)(long)SPLICE_F_NONBLOCK);
    need(send(theirs, "12345", 5, 0) == 5, "send");
    check(finish(thread) == 5, "SPLICE_F_NONBLOCK: waits for bytes all the same");
    need(fcntl(ours, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    check(splice(ours, NULL, ends[1], NULL, 1000, 0) == -1 && errno == EAGAIN, "O_NONBLOCK of the socket: EAGAIN");
    end = ended_socket(&theirs);
    check(splice(end, NULL, ends[1], NULL, 1000, 0) == 0, "an end: 0");
    check(sendfile(ends[1], end, NULL, 1000) == 0, "sendfile: likewise");
    fill();
    check(splice(end, NULL, ends[1], NULL, 1000, SPLICE_F_NONBLOCK) == -1 && errno == EAGAIN, "an end, a full pipe: EAGAIN");
    ours = end;
    thread = begin(splice_later, NULL);
    char page[4096];
    need(read(ends[0], page, sizeof page) == sizeof page, "read");
    check(finish(thread) == 0, "... or it waits for a slot");
    check(sendfile(theirs, end, NULL, 1000) == -1 && errno == EINVAL, "sendfile onto a socket: EINVAL");
    return 0;
}
