/* SPDX-License-Identifier: ISC */
/* What an exchange's pure work costs, for callgrind: the same thing N times, so that two counts for two N
 * differ by the cost of it.  See scripts/count-exchange.
 *
 *   parsecount N nothing REQUEST RESPONSE    copies the response's head, which the others need, too
 *   parsecount N request REQUEST RESPONSE    recognises, reads and rewrites the request's head
 *   parsecount N exchange REQUEST RESPONSE   and reads and edits the response's head
 *   parsecount N copied                      copies a body of 1 MiB, in reads of 4 KiB
 *   parsecount N length                      and follows it
 *   parsecount N chunked | decoded           the same in chunks of 4 KiB: followed, or taken out of them
 *
 * REQUEST and RESPONSE are files with one head each: tests/cost/bench_heads. */
#include "http/exchange.h"
#include "http/framing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 8192, READ = 4096, BODY = 1024 * 1024, CHUNK = 4096 };

static char request[ROOM], response[ROOM], sent[ROOM + EXCHANGE_REQUEST_GROWTH + 64], got[ROOM + READ];
static size_t request_len, response_len;
static char body[BODY + BODY / 64], piece[READ];

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "parsecount: %s\n", what);
    exit(1);
}

static size_t load(const char *path, char *room)
{
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(room, 1, ROOM, file) : 0;

    if (len < 4 || len == ROOM || memcmp(room + len - 4, "\r\n\r\n", 4) != 0)
        die(path);
    fclose(file);
    return len;
}

static void adapt(struct exchange *x)
{
    struct exchange_step step;

    exchange_init(x);
    step = exchange_client(x, request, request_len);
    if (step.action != EXCHANGE_HEAD || step.take != request_len || !x->request.one_shot)
        die("no request that is adapted");
    exchange_adapt(x, request, step.take, SLICE("127.0.0.1:80"), sent);
}

static void edit(struct exchange *x)
{
    struct exchange_reply reply = exchange_server(x, got, response_len);

    if (reply.flow != EXCHANGE_DATA || reply.out == 0 || exchange_verdict(x) != REASON_none)
        die("no response whose body is to come, on a connection that can be kept");
}

static void heads(const char *what, long count)
{
    struct exchange x;

    for (long i = 0; i < count; i++) {
        memcpy(got, response, response_len);
        if (*what == 'n')
            continue;
        adapt(&x);
        if (*what == 'e')
            edit(&x);
    }
}

/* Chunks that do not keep step with the reads. */
static size_t make_chunks(void)
{
    char *to = body;

    for (size_t left = BODY, n; left > 0; left -= n) {
        n = left < CHUNK ? left : CHUNK;
        to += sprintf(to, "%zx\r\n", n);
        memset(to, 'x', n);
        to += n;
        *to++ = '\r';
        *to++ = '\n';
    }
    memcpy(to, "0\r\n\r\n", 5);
    return (size_t)(to - body) + 5;
}

static void bodies(const char *what, long count)
{
    bool copy = strcmp(what, "copied") == 0, decode = *what == 'd';
    enum framing_kind kind = copy || *what == 'l' ? FRAMING_LENGTH : FRAMING_CHUNKED;
    size_t len = kind == FRAMING_LENGTH ? BODY : make_chunks(), used, out;

    for (long i = 0; i < count; i++) {
        enum framing_result result = FRAMING_MORE;
        struct framing f;

        framing_start(&f, kind, BODY);
        for (size_t at = 0, n; at < len; at += n) {
            n = len - at < READ ? len - at : READ;
            memcpy(piece, body + at, n);
            if (copy)
                continue;
            result = decode ? framing_decode(&f, piece, n, &used, &out) : framing_follow(&f, piece, n, &used);
        }
        if (!copy && result != FRAMING_DONE)
            die("a body without an end");
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 5)
        die("usage: see parsecount.c");
    if (argc == 3) {
        bodies(argv[2], strtol(argv[1], NULL, 10));
        return 0;
    }
    request_len = load(argv[3], request);
    response_len = load(argv[4], response);
    heads(argv[2], strtol(argv[1], NULL, 10));
    return 0;
}
