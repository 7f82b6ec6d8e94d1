/* SPDX-License-Identifier: ISC */
/* Requests of a library's own: part of the program, and, built with SURFACE_LIBRARY, a shared library to be
 * preloaded or opened.  SURFACE_AT says when it makes them by itself: constructor, destructor, exit.
 * Built with SURFACE_STATIC: a static program that reads what is left on the descriptor it is told. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void library_requests(int port, int seed, int n);
int library_open(int port);

int library_open(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("library: connect");
        return -1;
    }
    return fd;
}

/* The length of the body and its hash, or -1. */
static long read_body(int fd, size_t head, uint64_t *hash)
{
    char buf[8192];
    long body = 0;
    ssize_t n;

    *hash = 0xcbf29ce484222325u;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (head < 4) {
                head = buf[i] == "\r\n\r\n"[head] ? head + 1 : buf[i] == '\r';
                continue;
            }
            *hash = (*hash ^ (unsigned char)buf[i]) * 0x100000001b3u;
            body++;
        }
    return n == 0 ? body : -1;
}

static long one(int port, int seed, uint64_t *hash)
{
    char request[200];
    int fd = library_open(port);

    snprintf(request, sizeof request, "GET /bytes/3000?seed=%d HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n", seed,
             port);
    if (fd < 0 || write(fd, request, strlen(request)) != (ssize_t)strlen(request))
        return -1;
    long body = read_body(fd, 0, hash);
    return close(fd) == 0 ? body : -1;
}

void library_requests(int port, int seed, int n)
{
    for (int i = 0; i < n; i++) {
        char line[100];
        uint64_t hash = 0;
        long body = one(port, seed + i, &hash);
        int len = snprintf(line, sizeof line, "library: %ld %016llx\n", body, (unsigned long long)hash);
        if (write(1, line, (size_t)len) != len)
            _exit(97);
    }
}

#ifdef SURFACE_STATIC
/* FD, and whether the head is still to come. */
int main(int argc, char **argv)
{
    uint64_t hash;
    long body = argc > 2 ? read_body(atoi(argv[1]), atoi(argv[2]) ? 0 : 4, &hash) : -1;

    printf("static: %ld %016llx\n", body, (unsigned long long)hash);
    return body < 0;
}
#endif

#ifdef SURFACE_LIBRARY
static int wanted(const char *when)
{
    const char *at = getenv("SURFACE_AT"), *port = getenv("SURFACE_PORT");

    return at && port && strstr(at, when) ? atoi(port) : 0;
}

static void at_exit(void)
{
    if (wanted("exit"))
        library_requests(wanted("exit"), 300, 2);
}

__attribute__((constructor)) static void begin(void)
{
    if (wanted("constructor"))
        library_requests(wanted("constructor"), 100, 2);
    if (wanted("exit"))
        atexit(at_exit);
}

__attribute__((destructor)) static void end(void)
{
    if (wanted("destructor"))
        library_requests(wanted("destructor"), 200, 2);
}
#endif
