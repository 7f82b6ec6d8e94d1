/* SPDX-License-Identifier: ISC */
/* An origin server for tests: persistent by default, and does as the request's target tells it.
 *
 * It prints its port, serves each connection with a thread, and ends at SIGTERM.  See origin.h. */
#define _GNU_SOURCE
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "origin.h"

enum { LINGER_MS = 2000, FIRST_MS = 5000, STACK = 256 * 1024 };

struct options options = { .families = 46, .keepalive_ms = -1 };

static const char help[] =
    "usage: origin [options]    prints the port it listens on\n"
    "  --port N               default: any\n"
    "  -4, -6                 listen on 127.0.0.1 only, on ::1 only (default: both)\n"
    "  --any                  listen on every IPv4 address\n"
    "  --loopback-net         listen on all of 127.0.0.0/8\n"
    "  --keepalive-timeout MS close a connection that was idle for so long\n"
    "  --max-requests N       requests a connection\n"
    "  --announce             answer `Connection: keep-alive` with Keep-Alive: timeout, max\n"
    "  --log FILE             a line a request: connection, request on it, request line\n"
    "  --record FILE          each request as received, after `== connection C request R head H bytes B`\n"
    "  --die-with-stdin       end when standard input ends\n"
    "paths:\n"
    "  /bytes/N /chunked/N /until-close/N   a body of N bytes (HTTP/1.0 gets no chunks)\n"
    "  /close/N     with Content-Length, and closes without having said so\n"
    "  /trickle/N   head and body byte by byte, each a segment of its own\n"
    "  /status/N    /headers    /interim?n=N (1xx first)    /early/N (answers before the body is read)\n"
    "  /echo        the head of the request, as received; /echo/1: with its body\n"
    "  /chaos/SEED/NUMBER    faults that depend on these two only; see chaos.h\n"
    "  /replay/SEED/NUMBER   answers on a fresh connection, breaks many a reused one; /dead/...: never answers\n"
    "  /stats       counts, as JSON; not counted itself; ?reset=1\n"
    "query, on any path:\n"
    "  h=Name:%20value (repeatable)   status=N   v=1.0   conn=1 (X-Connection, X-Request)   seed=N\n"
    "  chunk=N ext=1 trailer=1        force=1 (chunks and 1xx even to HTTP/1.0)   interim=N\n"
    "  trickle=head|body|all piece=BYTES delay=US   split=1 (head and body apart)   stall=MS stall-body=MS\n"
    "  close=1 close=silent quiet=1 (closes without saying so)   persist=1 (/early)\n"
    "  cut=N, cut-body=N (end after N bytes of the answer, of its body)   rst=1 (end by reset)   extra=TEXT "
    "(behind the answer)\n"
    "  stale=1 (not the first request of its connection: closes unanswered; stale=2: resets)\n";

/* Wait for the client to end, so that no reset destroys what it has not read yet. */
static void linger(int fd)
{
    char sink[4096];
    struct pollfd p = { .fd = fd, .events = POLLIN };

    shutdown(fd, SHUT_WR);
    while (poll(&p, 1, LINGER_MS) > 0)
        if (recv(fd, sink, sizeof(sink), 0) <= 0)
            break;
}

/* A busy client may take its time between connect and send. */
static int patience(const struct conn *c)
{
    int ms = options.keepalive_ms;

    return c->requests == 0 && ms >= 0 ? ms + FIRST_MS : ms;
}

static void *serve(void *arg)
{
    struct conn *c = arg;
    struct linger reset = { .l_onoff = 1 };
    int after = AFTER_PERSIST;
    /* malloc, not calloc: `raw` is large and needs no zeroes */
    struct request *r = malloc(sizeof(*r));

    if (r == NULL)
        abort();
    while (after == AFTER_PERSIST) {
        memset(r, 0, offsetof(struct request, raw));
        after = mood_pass(c);
        if (after != AFTER_PERSIST)
            break;
        if (request_read_head(c, r, patience(c)) <= 0) {
            after = AFTER_GONE;
        } else {
            c->requests++;
            after = reply(c, r);
        }
    }
    free(r);
    if (after == AFTER_RESET)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    else if (after == AFTER_CLOSE)
        linger(c->fd);
    close(c->fd);
    free(c);
    return NULL;
}

static void welcome(int listener, const pthread_attr_t *attr)
{
    struct conn *c;
    pthread_t thread;
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    c = malloc(sizeof(*c));
    if (c == NULL)
        abort();
    memset(c, 0, offsetof(struct conn, in));
    c->fd = fd;
    c->number = book_accepted();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (pthread_create(&thread, attr, serve, c) != 0) {
        perror("origin: thread");
        close(fd);
        free(c);
    }
}

static int listen_on(int family, int port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } a = { .any.sa_family = (sa_family_t)family };
    socklen_t size = family == AF_INET ? sizeof(a.four) : sizeof(a.six);
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    a.four.sin_port = htons((uint16_t)port); /* the same place in both */
    if (family == AF_INET) {
        a.four.sin_addr.s_addr = htonl(options.any || options.loopback_net ? INADDR_ANY : INADDR_LOOPBACK);
    } else {
        a.six.sin6_addr = in6addr_loopback;
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (options.loopback_net && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) < 0)
        return -1;
    if (bind(fd, &a.any, size) == 0 && listen(fd, 1024) == 0)
        return fd;
    close(fd);
    return -1;
}

static int port_of(int fd)
{
    struct sockaddr_in6 a;
    socklen_t size = sizeof(a);

    if (getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        return -1;
    return ntohs(a.sin6_port);
}

/* Both families on one port.  A port that is free in one may be taken in the other: try some. */
static int listen_all(struct pollfd set[2])
{
    bool both = options.families == 46;

    for (int tries = 0; tries < 20; tries++) {
        set[0].fd = listen_on(options.families == 6 ? AF_INET6 : AF_INET, options.port);
        if (set[0].fd < 0)
            return -1;
        set[1].fd = both ? listen_on(AF_INET6, port_of(set[0].fd)) : -1;
        if (!both || set[1].fd >= 0 || tries == 19 || options.port != 0)
            break;
        close(set[0].fd);
    }
    if (both && set[1].fd < 0)
        fprintf(stderr, "origin: no ::1 here, IPv4 only\n");
    set[0].events = set[1].events = POLLIN;
    return port_of(set[0].fd);
}

static void *watch_stdin(void *arg)
{
    char sink[64];

    while (read(STDIN_FILENO, sink, sizeof(sink)) > 0)
        ;
    (void)arg;
    _exit(0);
}

static void end(int number)
{
    (void)number;
    _exit(0);
}

static int parse_options(int argc, char **argv)
{
    static const struct option longs[] = {
        { "port", required_argument, NULL, 'p' },
        { "keepalive-timeout", required_argument, NULL, 'k' },
        { "max-requests", required_argument, NULL, 'm' },
        { "loopback-net", no_argument, NULL, 'L' },
        { "announce", no_argument, NULL, 'a' },
        { "any", no_argument, NULL, 'y' },
        { "log", required_argument, NULL, 'l' },
        { "record", required_argument, NULL, 'r' },
        { "die-with-stdin", no_argument, NULL, 'd' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    int letter;

    while ((letter = getopt_long(argc, argv, "46", longs, NULL)) != -1)
        switch (letter) {
        case '4':
            options.families = 4;
            break;
        case '6':
            options.families = 6;
            break;
        case 'p':
            options.port = atoi(optarg);
            break;
        case 'k':
            options.keepalive_ms = atoi(optarg);
            break;
        case 'm':
            options.max_requests = atol(optarg);
            break;
        case 'L':
            options.loopback_net = true;
            options.families = 4;
            break;
        case 'a':
            options.announce = true;
            break;
        case 'y':
            options.any = true;
            options.families = 4;
            break;
        case 'l':
            options.log_path = optarg;
            break;
        case 'r':
            options.record_path = optarg;
            break;
        case 'd':
            options.die_with_stdin = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            return -1;
        }
    return optind == argc ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct pollfd set[2];
    pthread_attr_t attr;
    pthread_t thread;
    int port;

    if (parse_options(argc, argv) < 0) {
        fputs(help, stderr);
        return 2;
    }
    signal(SIGTERM, end);
    signal(SIGPIPE, SIG_IGN);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    reply_init();
    port = listen_all(set);
    if (port < 0 || book_open() < 0) {
        perror("origin");
        return 1;
    }
    if (options.die_with_stdin && pthread_create(&thread, &attr, watch_stdin, NULL) != 0)
        return 1;
    printf("%d\n", port);
    fflush(stdout);
    for (;;)
        if (poll(set, 2, -1) > 0)
            for (int i = 0; i < 2; i++)
                if (set[i].fd >= 0 && set[i].revents != 0)
                    welcome(set[i].fd, &attr);
}
