/* SPDX-License-Identifier: ISC */
#include "pool/table.h"

#include "base/block.h"

#include <stdatomic.h>
#include <string.h>

#define SLAB_SIZE 65536u
#define BUCKETS_LEAST 64u

struct slab {
    struct slab *next;
    size_t used, count;
    max_align_t things[];
};

static struct slab *slab_create(size_t size)
{
    size_t cap;
    struct slab *slab = block_get(SLAB_SIZE, &cap);

    if (!slab)
        return NULL;
    slab->next = NULL;
    slab->used = 0;
    slab->count = (cap - sizeof(*slab)) / size;
    return slab;
}

/* The slab to cut from, NULL without memory. */
static struct slab *arena_slab(struct arena *arena, size_t size)
{
    struct slab *slab = arena->current;

    if (slab && slab->used < slab->count)
        return slab;
    if (!slab || !slab->next) {
        struct slab *fresh = slab_create(size);

        if (!fresh)
            return NULL;
        *(slab ? &slab->next : &arena->first) = fresh;
        arena->current = fresh;
        return fresh;
    }
    return arena->current = slab->next; /* empty since table_reset */
}

static void *arena_cut(struct arena *arena, size_t size)
{
    struct slab *slab = arena_slab(arena, size);
    void *thing;

    if (!slab)
        return NULL;
    thing = (char *)slab->things + slab->used * size;
    memset(thing, 0, size);
    atomic_thread_fence(memory_order_release); /* table_each must not see it before it is empty */
    slab->used++;
    return thing;
}

static void arena_reset(struct arena *arena)
{
    for (struct slab *slab = arena->first; slab; slab = slab->next)
        slab->used = 0;
    arena->current = arena->first;
}

void table_reset(struct table *table)
{
    struct table old = *table;

    memset(table, 0, sizeof(*table));
    table->entry_arena = old.entry_arena;
    table->site_arena = old.site_arena;
    arena_reset(&table->entry_arena);
    arena_reset(&table->site_arena);
    /* The buckets are left behind: at a fork, another thread may have been replacing them. */
}

void table_each(const struct table *table, void (*each)(const struct idle *idle))
{
    for (const struct slab *slab = table->entry_arena.first; slab; slab = slab->next) {
        const struct entry *entries = (const struct entry *)(const void *)slab->things;

        for (size_t i = 0; i < slab->used; i++)
            if (entries[i].site)
                each(&entries[i].idle);
    }
}

static struct site **bucket_of(const struct table *table, uint32_t hash)
{
    return &table->buckets[hash & (table->buckets_count - 1)];
}

struct site *table_find(const struct table *table, const struct endpoint *endpoint)
{
    uint32_t hash = endpoint_hash(endpoint);
    struct site *site = table->buckets_count ? *bucket_of(table, hash) : NULL;

    while (site && !(site->hash == hash && endpoint_equal(&site->endpoint, endpoint)))
        site = site->chain;
    return site;
}

static void chain_all(struct table *table, struct site **from, size_t count)
{
    struct site *next;

    for (size_t i = 0; i < count; i++)
        for (struct site *site = from[i]; site; site = next) {
            struct site **bucket = bucket_of(table, site->hash);

            next = site->chain;
            site->chain = *bucket;
            *bucket = site;
        }
}

/* Doubles the buckets when there is a site for each.  Beyond the largest block chains get longer. */
static void grow(struct table *table)
{
    struct site **old = table->buckets, **fresh;
    size_t old_count = table->buckets_count, bytes;

    if (table->sites < old_count || 2 * old_count * sizeof(*old) > BLOCK_MAX)
        return;
    bytes = (old_count ? 2 * old_count : BUCKETS_LEAST) * sizeof(*old);
    fresh = block_get(bytes, NULL);
    if (!fresh)
        return;
    memset(fresh, 0, bytes);
    table->buckets = fresh;
    table->buckets_count = bytes / sizeof(*old);
    chain_all(table, old, old_count);
    block_put(old, old_count * sizeof(*old));
}

static struct site *new_site(struct table *table)
{
    struct site *site = table->unused_sites;

    if (!site)
        return arena_cut(&table->site_arena, sizeof(*site));
    table->unused_sites = site->chain;
    memset(site, 0, sizeof(*site));
    return site;
}

struct site *table_need(struct table *table, const struct endpoint *endpoint)
{
    struct site *site = table_find(table, endpoint), **bucket;

    if (site)
        return site;
    grow(table);
    if (!table->buckets_count)
        return NULL;
    site = new_site(table);
    if (!site)
        return NULL;
    site->endpoint = *endpoint;
    site->hash = endpoint_hash(endpoint);
    bucket = bucket_of(table, site->hash);
    site->chain = *bucket;
    *bucket = site;
    table->sites++;
    return site;
}

void table_release(struct table *table, struct site *site)
{
    struct site **link = bucket_of(table, site->hash);

    if (site->count || site->closer_until)
        return;
    while (*link != site)
        link = &(*link)->chain;
    *link = site->chain;
    site->chain = table->unused_sites;
    table->unused_sites = site;
    table->sites--;
}

static struct entry *new_entry(struct table *table)
{
    struct entry *entry = table->unused_entries;

    if (!entry)
        return arena_cut(&table->entry_arena, sizeof(*entry));
    table->unused_entries = entry->older;
    return entry;
}

struct entry *table_add(struct table *table, struct site *site, const struct idle *idle)
{
    struct entry *entry = new_entry(table);

    if (!entry)
        return NULL;
    entry->idle = *idle;
    atomic_thread_fence(memory_order_release);
    entry->site = site;
    entry->newer = entry->age_newer = NULL;
    entry->older = site->newest;
    entry->age_older = table->newest;
    *(entry->older ? &entry->older->newer : &site->oldest) = entry;
    *(entry->age_older ? &entry->age_older->age_newer : &table->oldest) = entry;
    site->newest = table->newest = entry;
    site->count++;
    table->entries++;
    return entry;
}

void table_remove(struct table *table, struct entry *entry, struct idle *out)
{
    struct site *site = entry->site;

    if (table->cursor == entry)
        table->cursor = entry->age_newer;
    *(entry->newer ? &entry->newer->older : &site->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &site->oldest) = entry->newer;
    *(entry->age_newer ? &entry->age_newer->age_older : &table->newest) = entry->age_older;
    *(entry->age_older ? &entry->age_older->age_newer : &table->oldest) = entry->age_newer;
    entry->site = NULL;
    *out = entry->idle;
    entry->idle.fd = -1;
    entry->older = table->unused_entries;
    table->unused_entries = entry;
    table->entries--;
    site->count--;
    table_release(table, site);
}

struct entry *table_next(struct table *table)
{
    struct entry *entry = table->cursor ? table->cursor : table->oldest;

    table->cursor = entry ? entry->age_newer : NULL;
    return entry;
}

static void unlink_closer(struct table *table, struct site *site)
{
    *(site->closer_newer ? &site->closer_newer->closer_older : &table->closer_newest) = site->closer_older;
    *(site->closer_older ? &site->closer_older->closer_newer : &table->closer_oldest) = site->closer_newer;
    site->closer_until = 0;
    table->closers--;
}

void table_closer(struct table *table, struct site *site, uint64_t until)
{
    if (site->closer_until)
        unlink_closer(table, site);
    site->closer_until = until;
    site->closer_newer = NULL;
    site->closer_older = table->closer_newest;
    *(site->closer_older ? &site->closer_older->closer_newer : &table->closer_oldest) = site;
    table->closer_newest = site;
    table->closers++;
}

void table_forget_closer(struct table *table, struct site *site)
{
    unlink_closer(table, site);
    table_release(table, site);
}
