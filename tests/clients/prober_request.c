/* SPDX-License-Identifier: ISC */
/* Builds the request: what a simple client would send. */
#include <stdlib.h>
#include <string.h>

#include "prober.h"

static bool has_field(const char *name)
{
    size_t n = strlen(name);

    for (int i = 0; i < settings.field_count; i++)
        if (strncasecmp(settings.fields[i], name, n) == 0 && settings.fields[i][n] == ':')
            return true;
    return false;
}

static void print_host(FILE *to)
{
    if (has_field("Host") || (settings.host != NULL && settings.host[0] == '\0'))
        return;
    if (settings.host != NULL)
        fprintf(to, "Host: %s\r\n", settings.host);
    else if (settings.minor > 0)
        fprintf(to, settings.family == 4 ? "Host: 127.0.0.1:%d\r\n" : "Host: [::1]:%d\r\n", settings.port);
}

static void print_body(FILE *to)
{
    const long chunk = 1000;

    for (long i = 0; i < settings.body_size; i++) {
        long left = settings.body_size - i;

        if (settings.chunked_body && i % chunk == 0)
            fprintf(to, "%s%lx\r\n", i == 0 ? "" : "\r\n", left < chunk ? left : chunk);
        fputc('a' + (int)(i % 26), to);
    }
    if (settings.chunked_body)
        fprintf(to, "%s0\r\n\r\n", settings.body_size > 0 ? "\r\n" : "");
}

void request_build(struct exchange *x)
{
    FILE *to = open_memstream(&x->request, &x->request_len);

    if (to == NULL)
        abort();
    fprintf(to, "%s %s HTTP/1.%d\r\n", settings.method, x->target, settings.minor);
    print_host(to);
    if (settings.minor > 0 && !settings.keep && !has_field("Connection"))
        fprintf(to, "Connection: close\r\n");
    for (int i = 0; i < settings.field_count; i++)
        fprintf(to, "%s\r\n", settings.fields[i]);
    if (settings.chunked_body)
        fprintf(to, "Transfer-Encoding: chunked\r\n");
    else if (settings.body_size >= 0)
        fprintf(to, "Content-Length: %ld\r\n", settings.body_size);
    fprintf(to, "\r\n");
    print_body(to);
    fclose(to);
}
