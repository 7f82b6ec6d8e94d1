/* SPDX-License-Identifier: ISC */
/* stream: stdio's streams that read and write through us, and the numbers that they were made of: libc says that
 * such a stream has none. */
#ifndef HOLDFAST_PRELOAD_STREAM_H
#define HOLDFAST_PRELOAD_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Somebody's from the moment when `used` goes from false to true. */
struct stream {
    FILE *_Atomic file; /* NULL until it is made */
    char *buffer;       /* a block of buffer_len bytes, or NULL */
    size_t buffer_len;
    int fd;
    atomic_bool used;
};

/* One for a number; NULL and EMFILE: there are too many. */
struct stream *stream_take(int fd);

/* Its file is closed: it is anybody's again. */
void stream_give(struct stream *stream);

/* The number that a file was made of; -1: it is not one of ours. */
int stream_fd(FILE *file);

#endif
