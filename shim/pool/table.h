/* SPDX-License-Identifier: ISC */
/* table: the pool's memory: idle connections by endpoint (hash table, then a stack) and by age (one
 * list, oldest first), and which endpoints have closed on us.  Every step is O(1).  No lock, no clock,
 * no call on a fd: pool.c does that.  For pool.c only. */
#ifndef HOLDFAST_POOL_TABLE_H
#define HOLDFAST_POOL_TABLE_H

#include "pool/pool.h"

struct site;

struct entry {
    struct idle idle;
    struct site *site;                   /* NULL: not in use; written last, so a fork sees whole entries */
    struct entry *newer, *older;         /* of the same site */
    struct entry *age_newer, *age_older; /* of all */
};

/* An endpoint.  Lives as long as it has idle connections or is remembered as a closer. */
struct site {
    struct endpoint endpoint;
    uint32_t hash;
    unsigned count;
    struct site *chain; /* the next one in its bucket, or in the list of unused sites */
    struct entry *newest, *oldest;
    uint64_t closer_until; /* 0: not a closer */
    struct site *closer_newer, *closer_older;
};

/* Memory for things of one size, in slabs that are never given back. */
struct slab;
struct arena {
    struct slab *first, *current;
};

/* All zero is an empty table. */
struct table {
    struct site **buckets;
    size_t buckets_count; /* a power of two, or 0 */
    unsigned sites, entries, closers;
    struct entry *newest, *oldest;
    struct entry *cursor; /* where the round through all entries goes on; NULL: at the oldest */
    struct site *closer_newest, *closer_oldest;
    struct arena entry_arena, site_arena;
    struct entry *unused_entries; /* linked by `older` */
    struct site *unused_sites;
};

/* Also right when the table was torn by a fork in the middle of a change.  Keeps the memory. */
void table_reset(struct table *table);

/* Shows each entry's idle connection, by walking the memory, not the lists: right after a fork too. */
void table_each(const struct table *table, void (*each)(const struct idle *idle));

struct site *table_find(const struct table *table, const struct endpoint *endpoint);

/* Finds or makes; NULL: no memory.  A site that stays without an entry and is no closer must be given
 * to table_release. */
struct site *table_need(struct table *table, const struct endpoint *endpoint);
void table_release(struct table *table, struct site *site);

/* As the newest of its site and of all.  NULL: no memory. */
struct entry *table_add(struct table *table, struct site *site, const struct idle *idle);

/* Moves it out.  Its site may be gone afterwards. */
void table_remove(struct table *table, struct entry *entry, struct idle *out);

/* The next one of an endless round through all entries, in the order of age. */
struct entry *table_next(struct table *table);

/* Callers' times never decrease, so the list of closers is in their order. */
void table_closer(struct table *table, struct site *site, uint64_t until);
void table_forget_closer(struct table *table, struct site *site);

#endif
