/* SPDX-License-Identifier: ISC */
/* table: which conn, if any, an fd number leads to; and which numbers are ours. */
#ifndef HOLDFAST_PRELOAD_TABLE_H
#define HOLDFAST_PRELOAD_TABLE_H

#include <stdatomic.h>
#include <stddef.h>

struct conn;

enum { CONN_TABLE_SIZE = 65536 }; /* fds above are not tracked */

extern struct conn *_Atomic conn_table[CONN_TABLE_SIZE];

/* Stands in the table for our own fds: to the client they are closed.  No conn lies there, but zeroes that last for one: a
 * look without the lock at what conn_find gave sees a conn that is free (conn.c makes sure of the length). */
enum { CONN_PRIVATE_BYTES = 2048 };
extern max_align_t conn_private_zeroes[CONN_PRIVATE_BYTES / sizeof(max_align_t)];
#define CONN_PRIVATE ((struct conn *)(void *)conn_private_zeroes)

/* The conn of an fd, or NULL: one load and one branch for what is not tracked. */
static inline struct conn *conn_find(int fd)
{
    if ((unsigned)fd >= CONN_TABLE_SIZE)
        return NULL;
    return atomic_load_explicit(&conn_table[fd], memory_order_relaxed);
}

#endif
