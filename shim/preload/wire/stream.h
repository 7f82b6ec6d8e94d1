/* SPDX-License-Identifier: ISC */
/* stream: the streams of stdio that read and write through the library (fopencookie(3)), and the numbers that they were made
 * of: fileno(3) of libc says that such a stream has none. */
#ifndef HOLDFAST_PRELOAD_STREAM_H
#define HOLDFAST_PRELOAD_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* One of a table.  It belongs to the thread that turned `used` from false to true. */
struct stream {
    FILE *_Atomic file; /* NULL until it is made */
    char *buffer;       /* a block of buffer_len bytes, or NULL */
    size_t buffer_len;
    int fd;
    atomic_bool used;
};

/* Takes one for the number fd, without a file.  NULL and EMFILE: there are too many. */
struct stream *stream_take(int fd);

/* Its file is closed: gives it back to the table. */
void stream_give(struct stream *stream);

/* The number that a file was made of; -1: the file is not one of these. */
int stream_fd(FILE *file);

#endif
