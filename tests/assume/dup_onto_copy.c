/* SPDX-License-Identifier: ISC */
/* dup3 of a socket onto another number of its own leaves the registration of that number in an epoll set; and a fork's child
 * that closes its copy of the number does not take it out. */
#define _GNU_SOURCE
#include "assume.h"

#include <fcntl.h>
#include <sys/wait.h>

int main(void)
{
    int ours, theirs, set = epoll_create1(0);

    tcp_pair(&ours, &theirs);
    int copy = dup(ours);
    epoll_change(set, EPOLL_CTL_ADD, ours, EPOLLOUT);
    check(dup2(copy, ours) == ours, "dup2 onto the other number");
    epoll_change(set, EPOLL_CTL_MOD, ours, EPOLLOUT);
    check(epoll_next(set, SOON_MS) == EPOLLOUT, "still registered");
    pid_t pid = fork();
    if (pid == 0) {
        close(ours);
        close(copy);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    check(epoll_next(set, SOON_MS) == EPOLLOUT, "closed in a child: still registered");
    return 0;
}
