/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "broker/hoard.h"

#include "pool/beside.h"
#include "pool/broker_message.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    LOOKS_MOST = 256, /* entries of one endpoint that a lease looks at */
    LOOK_EVERY_MS = 250,
};

void hoard_init(struct hoard *h, const struct tree_calls *calls, struct board *board, int epoll, unsigned most,
                unsigned most_per_endpoint)
{
    *h = (struct hoard){ .calls = calls, .board = board, .epoll = epoll, .most = most,
                         .most_per_endpoint = most_per_endpoint, .next_look_ms = UINT64_MAX };
}

bool hoard_is_quiet(const struct tree_calls *calls, int fd)
{
    char byte;

    return calls->recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void hoard_drop(const struct tree_calls *calls, int fd)
{
    calls->shutdown(fd, SHUT_RDWR);
    beside_close_one(calls, fd);
}

static void tell_board(struct hoard *h, const struct endpoint *to, int change)
{
    unsigned bucket = board_bucket(to);

    h->in_bucket[bucket] += (unsigned)change;
    atomic_store_explicit(&h->board->hoard[bucket], h->in_bucket[bucket] > 0, memory_order_relaxed);
}

/* A registration does not leave with a close while the description lives on elsewhere (epoll(7)). */
static void take_out(struct hoard *h, struct entry *entry, struct idle *out)
{
    tell_board(h, &entry->site->endpoint, -1);
    table_remove(&h->table, entry, out);
    epoll_ctl(h->epoll, EPOLL_CTL_DEL, out->fd, NULL);
}

static void discard(struct hoard *h, struct entry *entry)
{
    struct idle idle;

    take_out(h, entry, &idle);
    hoard_drop(h->calls, idle.fd);
}

static uint64_t end_of(const struct idle *idle)
{
    return idle->parked_ms + idle->idle_ms;
}

/* In the table, and watched. */
static struct entry *add(struct hoard *h, const struct endpoint *to, const struct idle *idle)
{
    struct site *site = table_need(&h->table, to);
    struct entry *entry = site ? table_add(&h->table, site, idle) : NULL;
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = entry };

    if (!entry) {
        if (site)
            table_release(&h->table, site);
        return NULL;
    }
    tell_board(h, to, 1);
    if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, idle->fd, &event) == 0)
        return entry;
    discard(h, entry);
    return NULL;
}

bool hoard_keep(struct hoard *h, const struct endpoint *to, const struct idle *idle, uint64_t now_ms)
{
    struct entry *entry;

    if (end_of(idle) <= now_ms || !(entry = add(h, to, idle))) {
        hoard_drop(h->calls, idle->fd);
        return false;
    }
    struct site *site = entry->site;
    struct entry *victim = site->count > h->most_per_endpoint  ? site->oldest
                           : h->table.entries > h->most ? h->table.oldest
                                                        : NULL;
    if (victim)
        discard(h, victim);
    if (end_of(idle) < h->next_look_ms)
        h->next_look_ms = end_of(idle);
    return victim != entry;
}

int hoard_take(struct hoard *h, const struct endpoint *to, const struct wanted *wanted, struct idle *out,
               uint64_t now_ms)
{
    struct site *site = table_find(&h->table, to);
    struct entry *next, *entry = site ? site->newest : NULL;

    for (int looks = 0; entry && looks < LOOKS_MOST; looks++, entry = next) {
        next = entry->older;
        if (pool_mismatch(&entry->idle, wanted) != REASON_none)
            continue;
        take_out(h, entry, out); /* the site may be gone then, but not while there is a next one */
        if (end_of(out) > now_ms && hoard_is_quiet(h->calls, out->fd))
            return 0;
        hoard_drop(h->calls, out->fd);
    }
    return -ENOENT;
}

void hoard_look(struct hoard *h, struct entry *entry)
{
    if (!entry->site || hoard_is_quiet(h->calls, entry->idle.fd))
        return;
    discard(h, entry);
    board_count(h->board, ended, 1);
}

void hoard_expire(struct hoard *h, uint64_t now_ms)
{
    uint64_t first = UINT64_MAX;

    for (struct entry *next, *entry = h->table.oldest; entry; entry = next) {
        next = entry->age_newer;
        if (end_of(&entry->idle) <= now_ms)
            discard(h, entry);
        else if (end_of(&entry->idle) < first)
            first = end_of(&entry->idle);
    }
    h->next_look_ms = first == UINT64_MAX || first > now_ms + LOOK_EVERY_MS ? first : now_ms + LOOK_EVERY_MS;
}

void hoard_release_place(struct hoard *h, const struct endpoint *to)
{
    for (struct entry *next, *entry = h->table.oldest; entry; entry = next) {
        next = entry->age_newer;
        if (endpoint_same_place(&entry->site->endpoint, to))
            discard(h, entry);
    }
}

void hoard_close(struct hoard *h)
{
    while (h->table.oldest)
        discard(h, h->table.oldest);
    h->next_look_ms = UINT64_MAX;
}

static bool write_all(int file, const void *bytes, size_t len)
{
    return write(file, bytes, len) == (ssize_t)len;
}

int hoard_write_records(const struct hoard *h, int file)
{
    struct broker_record records[64];
    size_t n = 0;
    int written = 0;

    for (size_t i = 0; i < h->table.buckets_count; i++)
        for (const struct site *site = h->table.buckets[i]; site; site = site->chain) {
            if (!site->count)
                continue;
            records[n++] = (struct broker_record){ .to = site->endpoint, .idle = site->count,
                                                   .oldest_ms = site->oldest->idle.parked_ms };
            written++;
            if (n < sizeof records / sizeof *records)
                continue;
            if (!write_all(file, records, sizeof records))
                return -EIO;
            n = 0;
        }
    return write_all(file, records, n * sizeof *records) ? written : -EIO;
}
