/* SPDX-License-Identifier: ISC */
/* Writes an answer as it was ordered: gathered into large writes, or in pieces that are each a TCP
 * segment of their own, or only up to a byte where the connection is cut. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "origin.h"

static void put(struct out *o, const char *bytes, size_t n)
{
    while (n > 0 && !o->failed) {
        ssize_t sent = send(o->fd, bytes, n, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            o->failed = true;
            return;
        }
        bytes += sent;
        n -= (size_t)sent;
    }
}

void out_flush(struct out *o)
{
    put(o, o->buf, o->len);
    o->len = 0;
}

static void trickle(struct out *o, const char *bytes, size_t n)
{
    out_flush(o);
    while (n > 0 && !o->failed) {
        size_t step = n < o->piece ? n : o->piece;

        put(o, bytes, step);
        bytes += step;
        n -= step;
        if (o->delay_us > 0)
            usleep((useconds_t)o->delay_us);
    }
}

static void gather(struct out *o, const char *bytes, size_t n)
{
    if (o->len + n > sizeof(o->buf))
        out_flush(o);
    if (n >= sizeof(o->buf)) {
        put(o, bytes, n);
        return;
    }
    memcpy(o->buf + o->len, bytes, n);
    o->len += n;
}

void out_bytes(struct out *o, const void *bytes, size_t n)
{
    bool cut = o->left >= 0 && n > (size_t)o->left;

    if (cut)
        n = (size_t)o->left;
    if (o->left >= 0)
        o->left -= (long long)n;
    if (o->piece > 0)
        trickle(o, bytes, n);
    else
        gather(o, bytes, n);
    if (cut) {
        out_flush(o);
        o->failed = true;
    }
}

void out_text(struct out *o, const char *format, ...)
{
    char text[TARGET_MAX + 256];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    out_bytes(o, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}
