/* SPDX-License-Identifier: ISC */
/* Takes the response apart.  The body is hashed as it came: chunks are bytes like others. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "prober.h"

/* Where in a chunk; SIZE_TAIL: the rest of its first line; LINE: at the beginning of a trailer. */
enum { CHUNK_SIZE, CHUNK_SIZE_TAIL, CHUNK_DATA, CHUNK_DATA_END, CHUNK_LINE, CHUNK_IN_LINE, CHUNK_DONE, CHUNK_BAD };

static const uint64_t FNV_START = 14695981039346656037u, FNV_PRIME = 1099511628211u;

void reply_init(struct reply *r)
{
    r->head_len = 0;
    r->head_done = r->no_body = r->chunked = false;
    r->length = -1;
    r->body_len = 0;
    r->hash = FNV_START;
    r->interim[0] = '\0';
    r->chunk_state = CHUNK_SIZE;
    r->chunk_left = 0;
}

static const char *field(const struct reply *r, const char *name)
{
    size_t n = strlen(name);
    const char *line = r->head;

    while ((line = strchr(line, '\n')) != NULL) {
        line++;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " ");
    }
    return NULL;
}

static int status_of(const struct reply *r)
{
    return r->head_len > 12 ? atoi(r->head + 9) : 0;
}

static void head_complete(struct reply *r)
{
    int status = status_of(r);
    const char *value;
    size_t used = strlen(r->interim);

    r->head[r->head_len] = '\0';
    if (status >= 100 && status < 200 && status != 101) {
        snprintf(r->interim + used, sizeof(r->interim) - used, " %d", status);
        r->head_len = 0;
        return;
    }
    r->head_done = true;
    r->no_body = status == 204 || status == 304 || strcmp(settings.method, "HEAD") == 0;
    value = field(r, "Content-Length");
    if (value != NULL)
        r->length = atoll(value);
    r->chunked = field(r, "Transfer-Encoding") != NULL;
}

static void chunk_size(struct reply *r, char byte)
{
    const char *digits = "0123456789abcdef", *digit = byte == '\0' ? NULL : strchr(digits, byte | 0x20);

    if (byte == '\n')
        r->chunk_state = r->chunk_left > 0 ? CHUNK_DATA : CHUNK_LINE;
    else if (r->chunk_state == CHUNK_SIZE && digit != NULL && r->chunk_left < 1 << 30)
        r->chunk_left = r->chunk_left * 16 + (digit - digits);
    else if (byte == '\r' || byte == ';' || r->chunk_state == CHUNK_SIZE_TAIL)
        r->chunk_state = CHUNK_SIZE_TAIL;
    else
        r->chunk_state = CHUNK_BAD;
}

static void chunk_byte(struct reply *r, char byte)
{
    switch (r->chunk_state) {
    case CHUNK_SIZE:
    case CHUNK_SIZE_TAIL:
        chunk_size(r, byte);
        break;
    case CHUNK_DATA:
        if (--r->chunk_left == 0)
            r->chunk_state = CHUNK_DATA_END;
        break;
    case CHUNK_DATA_END:
        r->chunk_state = byte == '\n' ? CHUNK_SIZE : byte == '\r' ? CHUNK_DATA_END : CHUNK_BAD;
        break;
    case CHUNK_LINE:
        r->chunk_state = byte == '\n' ? CHUNK_DONE : byte == '\r' ? CHUNK_LINE : CHUNK_IN_LINE;
        break;
    case CHUNK_IN_LINE:
        if (byte == '\n')
            r->chunk_state = CHUNK_LINE;
    }
}

/* How many of the bytes belong to the body. */
static size_t body_part(struct reply *r, const char *bytes, size_t n)
{
    size_t used = 0;

    if (r->no_body)
        return 0;
    if (r->chunked) {
        while (used < n && r->chunk_state != CHUNK_DONE)
            chunk_byte(r, bytes[used++]);
        return used;
    }
    if (r->length >= 0 && r->body_len + (long long)n > r->length)
        return r->length > r->body_len ? (size_t)(r->length - r->body_len) : 0;
    return n;
}

static void take_body(struct reply *r, const char *bytes, size_t n)
{
    uint64_t hash = r->hash;
    size_t part = body_part(r, bytes, n);

    if (settings.trim)
        n = part;
    if (settings.dump_body)
        fwrite(bytes, 1, n, stdout);
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * FNV_PRIME;
    r->hash = hash;
    r->body_len += (long long)n;
}

void reply_take(struct reply *r, const char *bytes, size_t n)
{
    for (; n > 0 && !r->head_done; bytes++, n--) {
        if (r->head_len == HEAD_MAX - 1)
            r->head_done = true;
        else
            r->head[r->head_len++] = *bytes;
        if (r->head_len >= 4 && memcmp(r->head + r->head_len - 4, "\r\n\r\n", 4) == 0)
            head_complete(r);
    }
    if (n > 0)
        take_body(r, bytes, n);
}

bool reply_complete(const struct reply *r)
{
    if (!r->head_done)
        return false;
    if (r->no_body)
        return true;
    if (r->chunked)
        return r->chunk_state == CHUNK_DONE;
    return r->length >= 0 && r->body_len >= r->length;
}

void reply_print(const struct reply *r, FILE *out)
{
    if (r->interim[0] != '\0')
        fprintf(out, "interim%s\n", r->interim);
    if (!r->head_done)
        fprintf(out, "INCOMPLETE HEAD of %zu bytes\n", r->head_len);
    for (size_t i = 0; i < r->head_len; i++)
        if (r->head[i] != '\r' && !(r->head[i] == '\n' && i > 0 && i + 1 == r->head_len))
            fputc(r->head[i], out);
    if (r->head_done && r->length >= 0 && !r->no_body && r->body_len < r->length)
        fprintf(out, "INCOMPLETE BODY\n");
    fprintf(out, "body %lld %016llx\n", r->body_len, (unsigned long long)r->hash);
}
