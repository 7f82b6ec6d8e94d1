/* SPDX-License-Identifier: ISC */
/* What each path answers.  The answer is a function of the request alone, unless `conn` is asked for,
 * so that runs with and without a shim can be compared byte for byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chaos.h"

/* A prime, so that bodies do not repeat in step with any buffer. */
enum { PATTERN = 1048573 };
static char pattern[PATTERN];

/* How an answer is framed and what it ends in. */
struct plan {
    int status;
    long long length; /* of the body */
    const char *body; /* NULL: cut from the pattern */
    const char *type;
    bool chunked, until_close; /* else Content-Length */
    bool silent;               /* closes without saying so */
    bool early;                /* answer first, read the body then */
    bool close;
};

void reply_init(void)
{
    uint64_t x = 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < PATTERN; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pattern[i] = (char)(x >> 32);
    }
}

void reply_pattern(struct out *o, uint64_t from, long long n)
{
    while (n > 0 && !o->failed) {
        size_t at = from % PATTERN, step = PATTERN - at;

        if ((long long)step > n)
            step = (size_t)n;
        out_bytes(o, pattern + at, step);
        from += step;
        n -= (long long)step;
    }
}

static void send_piece(struct out *o, const struct plan *p, uint64_t seed, long long from, long long n)
{
    if (p->body != NULL)
        out_bytes(o, p->body + from, (size_t)n);
    else
        reply_pattern(o, seed + (uint64_t)from, n);
}

static void send_chunks(struct out *o, const struct request *r, const struct plan *p, uint64_t seed)
{
    long long size = request_number(r, "chunk", 4096);
    const char *extension = request_number(r, "ext", 0) ? ";name=\"a;b\\\"\"" : "";

    if (size <= 0)
        size = 4096;
    for (long long from = 0; from < p->length && !o->failed; from += size) {
        long long n = p->length - from < size ? p->length - from : size;

        out_text(o, "%llx%s\r\n", n, extension);
        send_piece(o, p, seed, from, n);
        out_bytes(o, "\r\n", 2);
    }
    out_text(o, "0%s\r\n", extension);
    if (request_number(r, "trailer", 0))
        out_text(o, "X-Trailer: last\r\n");
    out_bytes(o, "\r\n", 2);
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 407:
        return "Proxy Authentication Required";
    case 413:
        return "Content Too Large";
    default:
        return "Told So";
    }
}

static bool has_body(const struct request *r, const struct plan *p)
{
    return strcmp(r->method, "HEAD") != 0 && p->status >= 200 && p->status != 204 && p->status != 304;
}

static void send_connection_fields(struct out *o, const struct conn *c, const struct request *r,
                                   const struct plan *p)
{
    if (p->close && !p->silent)
        out_text(o, "Connection: close\r\n");
    if (p->close || !r->says_keep_alive)
        return;
    out_text(o, "Connection: keep-alive\r\n");
    if (!options.announce)
        return;
    out_text(o, "Keep-Alive: timeout=%d", options.keepalive_ms < 0 ? 60 : options.keepalive_ms / 1000);
    if (options.max_requests > 0)
        out_text(o, ", max=%ld", options.max_requests - (long)c->requests);
    out_text(o, "\r\n");
}

static void send_head(struct out *o, const struct conn *c, const struct request *r, const struct plan *p)
{
    char value[TARGET_MAX];

    if (!request_param(r, "v", 0, value, sizeof(value)))
        strcpy(value, "1.1");
    out_text(o, "HTTP/%s %d %s\r\nServer: origin\r\n"
                 ORIGIN_DATE, value, p->status, reason(p->status));
    if (has_body(r, p))
        out_text(o, "Content-Type: %s\r\n", p->type);
    if (p->chunked)
        out_text(o, "Transfer-Encoding: chunked\r\n%s",
                 request_number(r, "trailer", 0) ? "Trailer: X-Trailer\r\n" : "");
    else if (!p->until_close && p->status != 204 && p->status != 304)
        out_text(o, "Content-Length: %lld\r\n", p->length);
    send_connection_fields(o, c, r, p);
    if (request_number(r, "conn", 0))
        out_text(o, "X-Connection: %lu\r\nX-Request: %lu\r\n", c->number, c->requests);
    if (r->body_bytes > 0)
        out_text(o, "X-Body: %llu %016llx\r\n", (unsigned long long)r->body_bytes,
                 (unsigned long long)r->body_hash);
    for (int i = 0; request_param(r, "h", i, value, sizeof(value)); i++)
        out_text(o, "%s\r\n", value);
    out_bytes(o, "\r\n", 2);
}

/* "/name/123": true, and the number. */
static bool path_is(const struct request *r, const char *name, long long *number)
{
    size_t n = strlen(name);

    if (strncmp(r->path, name, n) != 0 || (r->path[n] != '\0' && r->path[n] != '/'))
        return false;
    if (r->path[n] == '/')
        *number = strtoll(r->path + n + 1, NULL, 10);
    return true;
}

/* Fills the plan.  `*owned` is a body to be freed, or NULL. */
static void plan_path(struct conn *c, const struct request *r, struct plan *p, char **owned)
{
    long long number = -1;

    if (path_is(r, "/chunked", &p->length))
        p->chunked = true;
    else if (path_is(r, "/until-close", &p->length))
        p->until_close = true;
    else if (path_is(r, "/close", &p->length))
        p->close = p->silent = true;
    else if (path_is(r, "/status", &number))
        p->status = (int)number;
    else if (path_is(r, "/early", &p->length))
        p->early = true;
    else if (path_is(r, "/echo", &number)) {
        p->body = r->raw;
        p->length = (long long)(number < 0 ? r->head_len : r->raw_len);
        p->type = "message/http";
    } else if (path_is(r, "/stats", &number)) {
        book_forget(c);
        p->body = *owned = book_stats(request_number(r, "reset", 0) != 0);
        p->length = (long long)strlen(*owned);
        p->type = "application/json";
    } else if (!path_is(r, "/bytes", &p->length) && !path_is(r, "/trickle", &p->length) &&
               !path_is(r, "/headers", &p->length) && !path_is(r, "/interim", &p->length)) {
        p->status = 404;
    }
    if (p->status == 404 || r->bad) {
        p->status = r->bad ? 400 : 404;
        p->body = "not here\n";
        p->length = 9;
    }
}

static void plan_close(const struct conn *c, const struct request *r, struct plan *p)
{
    char value[16];

    p->until_close |= p->chunked && r->minor == 0 && !request_number(r, "force", 0);
    p->chunked &= !p->until_close;
    p->close |= p->until_close && has_body(r, p);
    p->close |= r->says_close || (r->minor == 0 && !r->says_keep_alive) || r->bad;
    p->close |= options.max_requests > 0 && c->requests >= (unsigned long)options.max_requests;
    p->close |= p->early && !request_number(r, "persist", 0);
    if (request_param(r, "close", 0, value, sizeof(value))) {
        p->close = true;
        p->silent = strcmp(value, "silent") == 0;
    }
    p->silent |= request_number(r, "quiet", 0) != 0;
}

static void plan_out(const struct request *r, struct out *o, bool *head, bool *body)
{
    char value[16] = "";

    *head = *body = strcmp(r->path, "/trickle") == 0 || strncmp(r->path, "/trickle/", 9) == 0;
    if (request_param(r, "trickle", 0, value, sizeof(value))) {
        *head = strcmp(value, "body") != 0;
        *body = strcmp(value, "head") != 0;
    }
    o->delay_us = (long)request_number(r, "delay", 0);
    o->left = request_number(r, "cut", -1);
}

/* 1xx go to nobody who spoke HTTP/1.0 (RFC 9110 15.2). */
static void send_interim(struct out *o, const struct request *r)
{
    long long n =
        strcmp(r->path, "/interim") == 0 ? request_number(r, "n", 2) : request_number(r, "interim", 0);

    if (r->minor == 0 && !request_number(r, "force", 0))
        return;
    while (n-- > 0)
        out_text(o, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n");
    if (request_number(r, "split", 0))
        out_flush(o);
}

static void nap(const struct request *r, struct out *o, const char *name)
{
    long long ms = request_number(r, name, 0);

    if (ms <= 0)
        return;
    out_flush(o);
    usleep((useconds_t)ms * 1000);
}

static void send_all(struct conn *c, const struct request *r, const struct plan *p, struct out *o)
{
    uint64_t seed = (uint64_t)request_number(r, "seed", 0) * 7919;
    size_t piece = (size_t)request_number(r, "piece", 1);
    bool head, body;
    char extra[TARGET_MAX];

    plan_out(r, o, &head, &body);
    nap(r, o, "stall");
    o->piece = head ? piece : 0;
    send_interim(o, r);
    send_head(o, c, r, p);
    o->piece = 0;
    if (request_number(r, "split", 0))
        out_flush(o);
    nap(r, o, "stall-body");
    o->left = request_number(r, "cut-body", o->left);
    o->piece = body ? piece : 0;
    if (has_body(r, p) && p->chunked)
        send_chunks(o, r, p, seed);
    else if (has_body(r, p))
        send_piece(o, p, seed, 0, p->length);
    o->piece = 0;
    if (request_param(r, "extra", 0, extra, sizeof(extra)))
        out_bytes(o, extra, strlen(extra));
    out_flush(o);
}

static int finish(const struct request *r, const struct plan *p, const struct out *o)
{
    if (request_number(r, "rst", 0))
        return AFTER_RESET;
    return p->close || o->failed ? AFTER_CLOSE : AFTER_PERSIST;
}

/* As a server that gave the connection up while the request was on its way. */
static bool gives_up(const struct conn *c, const struct request *r, int *after)
{
    long long how = request_number(r, "stale", 0);

    if (how == 0 || c->requests == 1)
        return false;
    *after = how == 2 ? AFTER_RESET : AFTER_CLOSE;
    book_request(c, r);
    return true;
}

static int reply_as_told(struct conn *c, struct request *r)
{
    struct out *o = calloc(1, sizeof(*o));
    struct plan p = { .status = 200, .length = 0, .type = "application/octet-stream" };
    char *owned = NULL;
    bool early = strcmp(r->path, "/early") == 0 || strncmp(r->path, "/early/", 7) == 0;
    int after = AFTER_CLOSE;

    if (o == NULL)
        abort();
    o->fd = c->fd;
    o->left = -1;
    if (r->expects && r->minor == 1 && !early) {
        out_text(o, "HTTP/1.1 100 Continue\r\n\r\n");
        out_flush(o);
    }
    if (!early && request_read_body(c, r) < 0)
        r->bad = true;
    if (gives_up(c, r, &after)) {
        free(o);
        return after;
    }
    plan_path(c, r, &p, &owned);
    p.status = (int)request_number(r, "status", p.status);
    plan_close(c, r, &p);
    if (strncmp(r->path, "/stats", 6) != 0)
        book_request(c, r);
    if (strncmp(r->path, "/stats", 6) != 0 && !early) /* before the client can have its answer */
        book_record(c, r);
    send_all(c, r, &p, o);
    after = finish(r, &p, o);
    if (early && after == AFTER_PERSIST && request_read_body(c, r) < 0)
        after = AFTER_CLOSE;
    if (strncmp(r->path, "/stats", 6) != 0 && early)
        book_record(c, r);
    free(owned);
    free(o);
    return after;
}

int reply(struct conn *c, struct request *r)
{
    uint64_t seed, number;

    if (c->mood.crossed)
        book_crossed(c, r);
    if (chaos_path(r, "/chaos", &seed, &number))
        return chaos_reply(c, r, seed, number);
    if (chaos_path(r, "/mood", &seed, &number))
        return mood_reply(c, r, seed, number);
    if (chaos_path(r, "/replay", &seed, &number))
        return replay_reply(c, r, seed, number, false);
    if (chaos_path(r, "/dead", &seed, &number))
        return replay_reply(c, r, seed, number, true);
    return reply_as_told(c, r);
}
