/* SPDX-License-Identifier: ISC */
/* Requests are made from a line each, so that one can be reduced:
 *     req K METHOD MINOR CONNECTION BODY LENGTH      CONNECTION: close, keep, none; BODY: none, length, chunked */
#define _GNU_SOURCE
#include "calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST = 16384 };

static char requests[REQUESTS][MOST];
static size_t lengths[REQUESTS];

static int control = -1, port;

int talk_port(void)
{
    return port;
}

void talk_open(const char *path, int to)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    port = to;
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name) != 0)
        exit(3);
    control = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    close(fd);
    char ready[7];
    if (control < 0 || read(control, ready, sizeof ready) != sizeof ready)
        exit(3);
}

void talk_close(void)
{
    close(control);
    control = -1;
    memset(lengths, 0, sizeof lengths);
}

static size_t add_body(char *out, size_t room, const char *kind, long length)
{
    size_t len = 0;

    if (strcmp(kind, "none") == 0)
        return 0;
    if (strcmp(kind, "chunked") == 0)
        len += (size_t)snprintf(out, room, "%lx\r\n", length);
    for (long i = 0; i < length && len < room; i++)
        out[len++] = (char)('a' + i % 23);
    if (strcmp(kind, "chunked") == 0)
        len += (size_t)snprintf(out + len, room - len, "\r\n0\r\n\r\n");
    return len;
}

void talk_request(const struct call *call)
{
    unsigned k = (unsigned)call_number(call, 1) % REQUESTS;
    const char *connection = call_word(call, 4), *body = call_word(call, 5);
    long length = call_number(call, 6);
    char *out = requests[k];
    size_t len = (size_t)snprintf(out, MOST, "%s /%u HTTP/1.%ld\r\nHost: origin\r\n", call_word(call, 2), k,
                                  call_number(call, 3));

    if (strcmp(connection, "none") != 0)
        len += (size_t)snprintf(out + len, MOST - len, "Connection: %s\r\n",
                                strcmp(connection, "keep") == 0 ? "keep-alive" : "close");
    if (strcmp(body, "length") == 0)
        len += (size_t)snprintf(out + len, MOST - len, "Content-Length: %ld\r\n", length);
    if (strcmp(body, "chunked") == 0)
        len += (size_t)snprintf(out + len, MOST - len, "Transfer-Encoding: chunked\r\n");
    len += (size_t)snprintf(out + len, MOST - len, "X-End: 1\r\n\r\n");
    lengths[k] = len + add_body(out + len, MOST - len - 16, body, length);
}

const char *talk_bytes(int k, long from, long to, size_t *len)
{
    size_t whole = lengths[(unsigned)k % REQUESTS];
    size_t first = whole * (size_t)from / 1000, last = whole * (size_t)to / 1000;

    *len = last > first ? last - first : 0;
    return requests[(unsigned)k % REQUESTS] + first;
}

static char lines[4096];
static size_t lines_len;

void talk_forward(const char *line)
{
    if (lines_len + strlen(line) + 2 > sizeof lines)
        talk_flush();
    lines_len += (size_t)snprintf(lines + lines_len, sizeof lines - lines_len, "%s\n", line);
}

void talk_flush(void)
{
    if (lines_len && write(control, lines, lines_len) != (ssize_t)lines_len)
        exit(3);
    lines_len = 0;
}

/* One line there; the answer ends with an empty line. */
void talk_ask_origin(const char *line)
{
    static __thread char answer[4096];
    size_t len = 0;

    talk_forward(line);
    talk_flush();
    while (len < sizeof answer - 1 && !(len >= 2 && memcmp(answer + len - 2, "\n\n", 2) == 0)) {
        ssize_t n = read(control, answer + len, sizeof answer - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    while (len && answer[len - 1] == '\n')
        len--;
    answer[len] = '\0';
    say(" -> %s", answer);
}
