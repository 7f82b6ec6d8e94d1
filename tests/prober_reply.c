/* Takes the response apart.  The body is hashed as it came: chunks are bytes like others. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "prober.h"

static const uint64_t FNV_START = 14695981039346656037u, FNV_PRIME = 1099511628211u;

void reply_init(struct reply *r)
{
    r->head_len = 0;
    r->head_done = r->no_body = r->chunked = false;
    r->length = -1;
    r->body_len = 0;
    r->hash = FNV_START;
    r->interim[0] = '\0';
    memset(r->tail, 0, sizeof(r->tail));
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

static void take_body(struct reply *r, const char *bytes, size_t n)
{
    uint64_t hash = r->hash;

    if (settings.dump_body)
        fwrite(bytes, 1, n, stdout);
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * FNV_PRIME;
    r->hash = hash;
    r->body_len += (long long)n;
    if (n > sizeof(r->tail)) {
        bytes += n - sizeof(r->tail);
        n = sizeof(r->tail);
    }
    memmove(r->tail, r->tail + n, sizeof(r->tail) - n);
    memcpy(r->tail + sizeof(r->tail) - n, bytes, n);
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
        return memcmp(r->tail, "0\r\n\r\n", 5) == 0;
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
