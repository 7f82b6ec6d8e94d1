/* SPDX-License-Identifier: ISC */
#include "preload/wire/stream.h"

#include "base/block.h"

#include <errno.h>

enum { STREAMS_MAX = 64 };

static struct {
    struct stream all[STREAMS_MAX];
    atomic_int used;
} streams;

struct stream *stream_take(int fd)
{
    for (int i = 0; i < STREAMS_MAX; i++) {
        struct stream *stream = &streams.all[i];
        if (atomic_load(&stream->used) || atomic_exchange(&stream->used, true))
            continue;
        stream->fd = fd;
        atomic_fetch_add(&streams.used, 1);
        return stream;
    }
    errno = EMFILE;
    return NULL;
}

void stream_give(struct stream *stream)
{
    if (stream->buffer)
        block_put(stream->buffer, stream->buffer_len);
    stream->buffer = NULL;
    atomic_store(&stream->file, NULL);
    atomic_fetch_sub(&streams.used, 1);
    atomic_store(&stream->used, false);
}

int stream_fd(FILE *file)
{
    for (int i = 0; atomic_load(&streams.used) && i < STREAMS_MAX; i++)
        if (atomic_load(&streams.all[i].file) == file)
            return streams.all[i].fd;
    return -1;
}
