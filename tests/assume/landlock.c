/* SPDX-License-Identifier: ISC */
/* Landlock judges each connect(2), also of a socket that is connected already: EACCES where the rules deny it, else
 * EISCONN.  What is connected goes on, whatever the rules say; whoever confines itself has no_new_privs, which
 * its children inherit. */
#define _GNU_SOURCE
#include "assume.h"

#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { CREATE_RULESET = 444, RESTRICT_SELF = 446, CONNECT_TCP = 2 };

int main(void)
{
    struct { uint64_t fs, net; } rules = { .net = CONNECT_TCP };
    struct sockaddr_in at, other;
    int listener = listen_here(&at), second = listen_here(&other);
    int fd = socket(AF_INET, SOCK_STREAM, 0), fresh = socket(AF_INET, SOCK_STREAM, 0);

    need(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
    errno = 0;
    check(connect(fd, (struct sockaddr *)&at, sizeof at) == -1 && errno == EISCONN, "connected: EISCONN");
    long set = syscall(CREATE_RULESET, &rules, sizeof rules, 0);
    need(set >= 0, "landlock_create_ruleset with rules for TCP");
    need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(RESTRICT_SELF, set, 0) == 0, "landlock_restrict_self");
    errno = 0;
    check(connect(fresh, (struct sockaddr *)&other, sizeof other) == -1 && errno == EACCES, "a new connection: EACCES");
    errno = 0;
    check(connect(fd, (struct sockaddr *)&at, sizeof at) == -1 && errno == EACCES, "one that is connected: EACCES");
    check(send(fd, "x", 1, 0) == 1, "it goes on all the same");
    check(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no_new_privs");
    close(listener);
    close(second);
    return 0;
}
