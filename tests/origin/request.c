/* SPDX-License-Identifier: ISC */
/* Reads requests as a lenient server does, and keeps every byte of them. */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "origin.h"

static const uint64_t FNV_START = 14695981039346656037u, FNV_PRIME = 1099511628211u;

/* One more receive into c->in.  1, or 0 at the end or after `ms` of silence. */
static int fill(struct conn *c, int ms)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    ssize_t got;

    if (c->pos == c->len)
        c->pos = c->len = 0;
    if (ms >= 0 && poll(&p, 1, ms) <= 0)
        return 0;
    do
        got = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return 0;
    c->len += (size_t)got;
    return 1;
}

static int next_byte(struct conn *c)
{
    if (c->pos == c->len && !fill(c, -1))
        return -1;
    return (unsigned char)c->in[c->pos++];
}

static void keep_raw(struct request *r, const char *bytes, size_t n)
{
    if (n > RAW_MAX - r->raw_len)
        n = RAW_MAX - r->raw_len;
    memcpy(r->raw + r->raw_len, bytes, n);
    r->raw_len += n;
}

static bool names(const char *list, const char *token)
{
    size_t n = strlen(token);

    for (; *list != '\0'; list += strcspn(list, ",") + (strchr(list, ',') != NULL)) {
        list += strspn(list, " \t");
        if (strncasecmp(list, token, n) == 0 && strchr(" \t,", list[n]) != NULL)
            return true;
    }
    return false;
}

static void take_field(struct request *r, const char *name, const char *value)
{
    if (strcasecmp(name, "Connection") == 0) {
        r->says_close |= names(value, "close");
        r->says_keep_alive |= names(value, "keep-alive");
    } else if (strcasecmp(name, "Content-Length") == 0) {
        r->length = strtoll(value, NULL, 10);
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        r->chunked = names(value, "chunked");
    } else if (strcasecmp(name, "Expect") == 0) {
        r->expects = names(value, "100-continue");
    }
}

static void parse_fields(struct request *r, char *line)
{
    char *save = NULL;

    for (line = strtok_r(line, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');
        size_t n = strlen(line);

        if (n > 0 && line[n - 1] == '\r')
            line[--n] = '\0';
        if (n == 0)
            continue;
        if (colon == NULL) {
            r->bad = true;
            continue;
        }
        *colon = '\0';
        colon += 1 + strspn(colon + 1, " \t");
        take_field(r, line, colon);
    }
}

static void split_target(struct request *r)
{
    const char *path = r->target, *scheme = strstr(r->target, "://");
    size_t n;

    if (r->target[0] != '/' && scheme != NULL) {
        path = scheme + 3;
        path += strcspn(path, "/?");
    }
    n = strcspn(path, "?");
    snprintf(r->path, sizeof(r->path), "%.*s", (int)n, path);
    snprintf(r->query, sizeof(r->query), "%s", path[n] == '?' ? path + n + 1 : "");
}

static void parse_head(struct request *r)
{
    static const char formats[] = "%31s %16383s HTTP/1.%d";
    char *head = strndup(r->raw, r->head_len), *rest;

    if (head == NULL)
        abort();
    rest = strchr(head, '\n');
    if (rest != NULL)
        *rest++ = '\0';
    r->length = -1;
    r->bad = sscanf(head, formats, r->method, r->target, &r->minor) != 3;
    if (rest != NULL)
        parse_fields(r, rest);
    split_target(r);
    free(head);
}

/* The blank line has just been taken: what came is ...\n\n or ...\n\r\n. */
static bool at_end(const char *raw, size_t n)
{
    return (n >= 2 && raw[n - 1] == '\n' && raw[n - 2] == '\n') ||
           (n >= 3 && memcmp(raw + n - 3, "\n\r\n", 3) == 0);
}

int request_read_head(struct conn *c, struct request *r, int idle_ms)
{
    if (c->pos == c->len && !fill(c, idle_ms))
        return 0;
    for (;;) {
        int byte = next_byte(c);
        char b = (char)byte;

        if (byte < 0)
            return r->raw_len == 0 ? 0 : -1;
        if (r->raw_len == 0 && (b == '\r' || b == '\n'))
            continue;
        if (r->raw_len == HEAD_MAX)
            return -1;
        r->raw[r->raw_len++] = b;
        if (b == '\n' && at_end(r->raw, r->raw_len))
            break;
    }
    r->head_len = r->raw_len;
    parse_head(r);
    return 1;
}

static int read_exactly(struct conn *c, struct request *r, long long n)
{
    while (n > 0) {
        size_t have;

        if (c->pos == c->len && !fill(c, -1))
            return -1;
        have = c->len - c->pos;
        if ((long long)have > n)
            have = (size_t)n;
        for (size_t i = 0; i < have; i++)
            r->body_hash = (r->body_hash ^ (unsigned char)c->in[c->pos + i]) * FNV_PRIME;
        keep_raw(r, c->in + c->pos, have);
        c->pos += have;
        r->body_bytes += have;
        n -= (long long)have;
    }
    return 0;
}

static int read_line(struct conn *c, struct request *r, char *line, size_t size)
{
    size_t n = 0;
    int byte;

    do {
        char b;

        byte = next_byte(c);
        if (byte < 0)
            return -1;
        b = (char)byte;
        keep_raw(r, &b, 1);
        if (n + 1 < size && b != '\r' && b != '\n')
            line[n++] = b;
    } while (byte != '\n');
    line[n] = '\0';
    return 0;
}

static int read_chunks(struct conn *c, struct request *r)
{
    char line[4096], *end;
    long long size;

    do {
        if (read_line(c, r, line, sizeof(line)) < 0)
            return -1;
        size = strtoll(line, &end, 16);
        if (end == line || size < 0 || read_exactly(c, r, size) < 0)
            return -1;
        if (size > 0 && (read_line(c, r, line, sizeof(line)) < 0 || line[0] != '\0'))
            return -1;
    } while (size > 0);
    do
        if (read_line(c, r, line, sizeof(line)) < 0)
            return -1;
    while (line[0] != '\0');
    return 0;
}

int request_read_body(struct conn *c, struct request *r)
{
    r->body_hash = FNV_START;
    if (r->chunked)
        return read_chunks(c, r);
    return r->length > 0 ? read_exactly(c, r, r->length) : 0;
}

static void percent_decode(const char *from, size_t n, char *to, size_t size)
{
    size_t done = 0;

    for (size_t i = 0; i < n && done + 1 < size; i++) {
        char hex[3] = { 0 };

        if (from[i] == '%' && i + 2 < n) {
            hex[0] = from[++i];
            hex[1] = from[++i];
            to[done++] = (char)strtol(hex, NULL, 16);
        } else {
            to[done++] = from[i];
        }
    }
    to[done] = '\0';
}

bool request_param(const struct request *r, const char *name, int nth, char *value, size_t size)
{
    size_t length = strlen(name);
    const char *at = r->query;

    while (*at != '\0') {
        size_t n = strcspn(at, "&");
        bool ours = n >= length && memcmp(at, name, length) == 0 && (n == length || at[length] == '=');

        if (ours && nth-- == 0) {
            size_t skip = n == length ? n : length + 1;

            percent_decode(at + skip, n - skip, value, size);
            return true;
        }
        at += n + (at[n] == '&');
    }
    return false;
}

long long request_number(const struct request *r, const char *name, long long otherwise)
{
    char value[64];

    return request_param(r, name, 0, value, sizeof(value)) ? strtoll(value, NULL, 10) : otherwise;
}
