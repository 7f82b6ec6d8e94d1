/* SPDX-License-Identifier: ISC */
/* A static program that has come by whatever its starter left open: what another user, or a program that does not
 * know holdfast, could do with it.  It tries to peek, to read and to put a request in front, through every
 * descriptor and says what it found; the exit status is 1 if that was anything.
 *
 *     spy PORT [USER [SECONDS]]     USER: it becomes that one first; SECONDS: it goes on for so long */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int found;

static void report(const char *what, int fd)
{
    printf("the spy (%d, user %d) %s descriptor %d\n", getpid(), (int)getuid(), what, fd);
    found++;
}

/* A copy of what lies in flight (unix(7)): a connection that is somebody's. */
static void take_from(int fd, int flags, const char *what)
{
    static const char prefix[] = "GET /prefixed HTTP/1.1\r\nHost: spy\r\nX-User: spy\r\n\r\n";
    char data[1024], control[1024];
    struct iovec piece = { data, sizeof data };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
                              .msg_controllen = sizeof control };

    if (recvmsg(fd, &message, MSG_DONTWAIT | flags) < 0)
        return;
    report(what, fd);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            int copy;
            memcpy(&copy, CMSG_DATA(c), sizeof copy);
            if (send(copy, prefix, sizeof prefix - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                report("put a request in front, by", fd);
        }
}

static void look_at(int fd)
{
    struct stat status;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_storage room;
    } name;
    socklen_t len = sizeof name;
    char byte;

    if (fstat(fd, &status) != 0)
        return;
    if (S_ISREG(status.st_mode) && mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED)
        report("can map", fd);
    if (!S_ISSOCK(status.st_mode))
        return;
    report("has the socket", fd);
    if (getsockname(fd, &name.any, &len) == 0 && name.any.sa_family == AF_UNIX) {
        take_from(fd, MSG_PEEK, "can peek into");
        take_from(fd, 0, "can read");
    } else if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
        report("can peek into", fd);
    }
}

int main(int argc, char **argv)
{
    char line[512];

    if (argc > 2) {
        uid_t user = (uid_t)atoi(argv[2]);
        if (setresuid(user, user, user) != 0 && getuid() != user)
            return 2;
    }
    for (int fd = 3; fd < 8192; fd++)
        look_at(fd);
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "memfd:holdfast"))
            report("has mapped memory, as of", -1);
    if (argc > 3)
        sleep((unsigned)atoi(argv[3]));
    return found ? 1 : 0;
}
