/* SPDX-License-Identifier: ISC */
/* What the origin must have sent: a body is cut from its pattern (origin/reply.c). */
#define _GNU_SOURCE
#include "client.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PATTERN = 1048573 };

static char pattern[PATTERN];
static size_t made;
static uint64_t state = 0x9e3779b97f4a7c15u;

static char pattern_at(uint64_t at)
{
    at %= PATTERN;
    for (; made <= at; made++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pattern[made] = (char)(state >> 32);
    }
    return pattern[at];
}

void reply_init(struct reply *r, uint64_t seed, long expected)
{
    memset(r, 0, sizeof *r);
    r->length = -1;
    r->expected = expected;
    r->seed = seed * 7919;
}

/* Fields that belong to the connection or to its framing. */
static bool may_differ(const char *line)
{
    static const char *const names[] = { "connection:", "keep-alive:", "transfer-encoding:", "trailer:",
                                         "content-length:" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncasecmp(line, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void head_done(struct reply *r)
{
    char *save = NULL, *at = strcasestr(r->head, "\r\ncontent-length:");
    uint64_t h = 0xcbf29ce484222325u;

    if (at)
        r->length = atol(at + 17);
    for (char *line = strtok_r(r->head, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
        if (!may_differ(line))
            for (const char *p = line; *p; p++)
                h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    r->head_hash = h;
    r->in_body = true;
}

static void take_head(struct reply *r, char byte)
{
    if (r->head_len >= HEAD_MAX - 1) {
        r->broken = true;
        return;
    }
    r->head[r->head_len++] = byte;
    if (r->head_len < 4 || memcmp(r->head + r->head_len - 4, "\r\n\r\n", 4) != 0)
        return;
    r->head[r->head_len] = '\0';
    if (memcmp(r->head + 9, "1", 1) == 0) /* interim */
        r->head_len = 0;
    else
        head_done(r);
}

void reply_take(struct reply *r, const char *bytes, size_t len)
{
    for (; len; bytes++, len--) {
        if (!r->in_body)
            take_head(r, *bytes);
        else if (r->expected >= 0 && (r->got >= r->expected || *bytes != pattern_at(r->seed + (uint64_t)r->got++)))
            r->broken = true;
        else if (r->expected < 0)
            r->got++;
    }
}

bool reply_complete(const struct reply *r)
{
    return r->in_body && (r->expected < 0 ? r->got >= r->length : r->got >= r->expected);
}
