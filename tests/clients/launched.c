/* SPDX-License-Identifier: ISC */
/* A client that tests/launcher/e2e_launcher builds for every kind of loader.  Its exit status is 3.
 *
 *   launched                  says that it ran
 *   launched PORT             asks three times, over HTTP/1.0
 *   launched PORT PATH        shows one answer
 *   launched run COMMAND...   executes another */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY = 1000 };

static void ask(const struct sockaddr_in *to, const char *path, int show)
{
    char buf[4096];
    ssize_t n;
    long all = 0;
    int len = snprintf(buf, sizeof(buf), "GET %s HTTP/1.0\r\n\r\n", path);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0 || write(fd, buf, (size_t)len) != len)
        exit(5);
    for (; (n = read(fd, buf, sizeof(buf))) > 0; all += n)
        if (show)
            fwrite(buf, 1, (size_t)n, stdout);
    close(fd);
    if (!show)
        puts(n == 0 && all > BODY ? "whole" : "cut short");
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int port = argc > 1 ? atoi(argv[1]) : 0;

    if (argc > 2 && strcmp(argv[1], "run") == 0)
        return execvp(argv[2], argv + 2);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)port);
    for (int i = 0; port && i < (argc > 2 ? 1 : 3); i++)
        ask(&to, argc > 2 ? argv[2] : "/bytes/1000", argc > 2);
    return puts("ran") >= 0 ? 3 : 4;
}
