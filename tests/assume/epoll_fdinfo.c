/* SPDX-License-Identifier: ISC */
/* /proc/self/fdinfo/EPFD shows what each registration is armed for: of a one-shot one that has fired
 * only the flags are left, so that a swap need not arm it again. */
#define _GNU_SOURCE
#include "assume.h"

static unsigned armed(int set, int fd)
{
    char path[64], line[256];
    unsigned events = 0;
    FILE *file;
    int tfd;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", set);
    file = fopen(path, "r");
    need(file != NULL, path);
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned mask;

        if (sscanf(line, "tfd: %d events: %x", &tfd, &mask) == 2 && tfd == fd)
            events = mask;
    }
    fclose(file);
    return events;
}

int main(void)
{
    const unsigned wakes = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;
    int ours, theirs, set = epoll_create1(0);

    tcp_pair(&ours, &theirs);
    epoll_change(set, EPOLL_CTL_ADD, ours, EPOLLOUT | EPOLLONESHOT);
    check((armed(set, ours) & wakes) == EPOLLOUT, "armed: shows OUT");
    check(epoll_next(set, SOON_MS) == EPOLLOUT, "fires");
    check((armed(set, ours) & wakes) == 0, "fired: shows nothing to wake for");
    check(armed(set, ours) & EPOLLONESHOT, "fired: is still one-shot");
    epoll_change(set, EPOLL_CTL_MOD, ours, EPOLLIN | EPOLLONESHOT);
    check((armed(set, ours) & wakes) == EPOLLIN, "armed again: shows IN");
    return 0;
}
