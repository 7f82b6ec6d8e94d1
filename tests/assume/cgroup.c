/* SPDX-License-Identifier: ISC */
/* Programs of a cgroup (bpf(2)) that concern sockets.  One for connect(2) is asked for new connections only: what is
 * connected goes on, and a connect there says EISCONN, so a lease cannot ask it.  One that binds new sockets to a
 * device, as `ip vrf exec` does, can be seen: SO_BINDTOIFINDEX. */
#define _GNU_SOURCE
#include "assume.h"
#include "lib/cgroup.h"

#include <sys/wait.h>

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

static void judged(struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), old = socket(AF_INET, SOCK_STREAM, 0);

    need(connect(fd, (struct sockaddr *)at, sizeof *at) == 0, "connect");
    need(cgroup_enter(cgroup_path), "cgroup.procs");
    int fresh = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(old, (struct sockaddr *)at, sizeof *at) == 0, "a socket belongs to the cgroup that made it");
    errno = 0;
    check(connect(fresh, (struct sockaddr *)at, sizeof *at) == -1 && errno == EPERM, "a new connection: EPERM");
    errno = 0;
    check(connect(fd, (struct sockaddr *)at, sizeof *at) == -1 && errno == EISCONN, "one that is connected: EISCONN");
    check(send(fd, "x", 1, 0) == 1, "it goes on all the same");
}

static void bound(struct sockaddr_in *unused)
{
    int before = socket(AF_INET, SOCK_STREAM, 0), device = -1;
    socklen_t len = sizeof device;

    (void)unused;
    need(cgroup_enter(cgroup_path), "cgroup.procs");
    int after = socket(AF_INET, SOCK_STREAM, 0);
    check(getsockopt(before, SOL_SOCKET, SO_BINDTOIFINDEX, &device, &len) == 0 && device == 0, "an old socket: none");
    check(getsockopt(after, SOL_SOCKET, SO_BINDTOIFINDEX, &device, &len) == 0 && device == 1, "a new one: the device");
}

/* In a child, so that the cgroup can go. */
static int in_child(void (*look)(struct sockaddr_in *at), struct sockaddr_in *at)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        look(at);
        _exit(0);
    }
    need(child > 0 && waitpid(child, &status, 0) == child, "fork");
    rmdir(cgroup_path);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(void)
{
    struct sockaddr_in at;
    int listener = listen_here(&at);

    need(cgroup_make_denying(), "a program for connect on a cgroup");
    int result = in_child(judged, &at);
    if (result)
        return result;
    need(cgroup_make_binding(1), "a program for new sockets on a cgroup");
    result = in_child(bound, &at);
    close(listener);
    return result;
}
