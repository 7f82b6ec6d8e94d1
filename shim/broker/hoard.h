/* SPDX-License-Identifier: ISC */
/* hoard: the idle connections that the broker has to itself, each watched: one that its server closes, or
 * says something on, is dropped at once.  They are in a table (pool/table.h), so that what one costs does not
 * depend on how many there are.  It tells the board of which endpoints it has some. */
#ifndef HOLDFAST_BROKER_HOARD_H
#define HOLDFAST_BROKER_HOARD_H

#include "pool/board.h"
#include "pool/table.h"
#include "pool/tree.h"

struct hoard {
    struct table table;
    const struct tree_calls *calls;
    struct board *board;
    int epoll;              /* events come with the entry's address; the caller's */
    unsigned most, most_per_endpoint;
    unsigned in_bucket[BOARD_BUCKETS];
    uint64_t next_look_ms;  /* nothing expires before; UINT64_MAX: nothing is there */
};

/* `most`: the oldest of all goes for the next one; `most_per_endpoint`: likewise. */
void hoard_init(struct hoard *h, const struct tree_calls *calls, struct board *board, int epoll, unsigned most,
                unsigned most_per_endpoint);

/* Takes idle->fd over, whatever happens.  False: it was closed at once. */
bool hoard_keep(struct hoard *h, const struct endpoint *to, const struct idle *idle, uint64_t now_ms);

/* As pool_lease: the newest that is wanted, and alive.  0 with out->fd the caller's, or -ENOENT. */
int hoard_take(struct hoard *h, const struct endpoint *to, const struct wanted *wanted, struct idle *out,
               uint64_t now_ms);

/* Closes all that leads to the place of `to`. */
void hoard_release_place(struct hoard *h, const struct endpoint *to);

/* Something happened to an entry; it may be gone since. */
void hoard_look(struct hoard *h, struct entry *entry);

/* Drops what has expired; sets next_look_ms. */
void hoard_expire(struct hoard *h, uint64_t now_ms);

void hoard_close(struct hoard *h);

/* Nothing to read, no end, no error. */
bool hoard_is_quiet(const struct tree_calls *calls, int fd);

/* Closes one for good: its server is told of the end even if the child of some fork still has a copy. */
void hoard_drop(const struct tree_calls *calls, int fd);

/* Writes a broker_record for each endpoint to a file.  Their number, or -errno. */
int hoard_write_records(const struct hoard *h, int file);

#endif
