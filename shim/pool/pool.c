/* SPDX-License-Identifier: ISC */
/* What to keep, for how long, and what to let go.  The lock covers the table only: whatever makes a
 * call on a fd is done on connections that were taken out of it first, so nobody else can have them. */
#include "pool/pool.h"

#include "base/lock.h"
#include "pool/table.h"

#include <errno.h>

#define LOOKS 2u            /* entries looked at in passing, at the oldest end and at the cursor each */
#define MOMENT_MS 2u        /* for so long after a park nothing is expected to have happened */
#define CLOSER_IDLE_MS 500u /* a server that closes sooner did not mean to persist */
#define CLOSER_MS 60000u
#define CLOSERS_MOST 16384u

/* Taken out under the lock, to be discarded outside of it. */
struct removals {
    unsigned count;
    struct removal {
        struct idle idle;
        enum reason why;
    } list[2 * LOOKS + 1];
};

static const struct pool_ops *ops;
static unsigned most_per_endpoint, most_total, most_requests;
static uint64_t oldest_ms; /* 0, as for most_requests: no limit */
struct lock pool_lock = LOCK_FREE(pool_lock);
static struct table table;

/* Of `list` only what is written is read. */
static inline void begin(struct removals *gone)
{
    gone->count = 0;
}

static bool has_room(const struct removals *gone)
{
    return gone->count < sizeof(gone->list) / sizeof(gone->list[0]);
}

static void take_out(struct entry *entry, enum reason why, struct removals *gone)
{
    struct removal *removal = &gone->list[gone->count++];

    removal->why = why;
    table_remove(&table, entry, &removal->idle);
}

static void discard_all(const struct removals *gone)
{
    for (unsigned i = 0; i < gone->count; i++)
        ops->discard(&gone->list[i].idle, gone->list[i].why);
}

static uint64_t age_of(const struct idle *idle, uint64_t now)
{
    return now > idle->parked_ms ? now - idle->parked_ms : 0;
}

static bool is_expired(const struct idle *idle, uint64_t now)
{
    return age_of(idle, now) >= idle->idle_ms;
}

static void forget_closers(uint64_t now, unsigned most)
{
    for (; most && table.closer_oldest && table.closer_oldest->closer_until <= now; most--)
        table_forget_closer(&table, table.closer_oldest);
}

/* Returns how many it looked at. */
static unsigned look_at_round(uint64_t now, unsigned most, struct removals *gone)
{
    unsigned looked = 0;

    while (looked < most && has_room(gone)) {
        struct entry *entry = table_next(&table);

        if (!entry)
            break;
        looked++;
        if (is_expired(&entry->idle, now))
            take_out(entry, REASON_expired, gone);
    }
    return looked;
}

/* A few of the oldest, where idle times are alike; and a few of the round, because one with a long
 * idle time at the old end would hide those behind it for ever. */
static void look_around(uint64_t now, struct removals *gone)
{
    for (unsigned i = 0; i < LOOKS && table.oldest && is_expired(&table.oldest->idle, now); i++)
        take_out(table.oldest, REASON_expired, gone);
    look_at_round(now, LOOKS, gone);
    forget_closers(now, LOOKS);
}

int pool_init(const struct pool_ops *with, unsigned max_per_endpoint, unsigned max_total)
{
    lock_init(&pool_lock);
    table_reset(&table);
    ops = with;
    most_per_endpoint = max_per_endpoint;
    most_total = max_total;
    return 0;
}

void pool_limit_use(unsigned requests, uint64_t age_ms)
{
    most_requests = requests;
    oldest_ms = age_ms;
}

/* What was set, not what the server says. */
static enum reason worn_out(const struct idle *idle, uint64_t now)
{
    if (most_requests && idle->requests >= most_requests)
        return REASON_max_requests;
    return oldest_ms && now >= idle->opened_ms + oldest_ms ? REASON_max_age : REASON_none;
}

/* Why no room is wanted for it. */
static enum reason useless(const struct idle *idle, uint64_t now)
{
    return idle->max_left == 0 || idle->idle_ms == 0 ? REASON_keepalive_spent : worn_out(idle, now);
}

enum reason pool_mismatch(const struct idle *idle, const struct wanted *wanted)
{
    if (wanted->any)
        return REASON_none;
    if (idle->absolute != wanted->absolute || idle->proxy_auth != wanted->proxy_auth)
        return REASON_other_form;
    return idle->host == wanted->host ? REASON_none : REASON_other_host;
}

/* The newest that will do, or NULL and why there is none. */
static struct entry *choose(const struct endpoint *to, const struct wanted *wanted, enum reason *why)
{
    struct site *site = table_find(&table, to);

    *why = REASON_pool_empty;
    for (struct entry *entry = site ? site->newest : NULL; entry; entry = entry->older) {
        enum reason wrong = pool_mismatch(&entry->idle, wanted);

        if (wrong == REASON_none)
            return entry;
        if (*why == REASON_pool_empty)
            *why = wrong;
    }
    return NULL;
}

static bool take(const struct endpoint *to, const struct wanted *wanted, struct idle *out, enum reason *why,
                 uint64_t now)
{
    struct removals gone;
    struct entry *entry;

    begin(&gone);
    *why = REASON_pool_empty;
    if (!lock_take(&pool_lock))
        return false;
    entry = choose(to, wanted, why);
    if (entry)
        table_remove(&table, entry, out);
    look_around(now, &gone);
    lock_give(&pool_lock);
    discard_all(&gone);
    return entry != NULL;
}

static enum reason examine(const struct idle *idle, uint64_t now)
{
    enum reason worn = worn_out(idle, now);

    if (worn != REASON_none)
        return worn;
    if (is_expired(idle, now))
        return REASON_expired;
    switch (ops->probe(idle)) {
    case POOL_ALIVE:
        return REASON_none;
    case POOL_STALE:
        return REASON_stale;
    case POOL_POISONED:
        return REASON_poisoned;
    case POOL_REPLACED:
        break;
    }
    return REASON_replaced;
}

static enum reason examine_and_learn(const struct endpoint *to, const struct idle *idle, uint64_t now)
{
    enum reason wrong = examine(idle, now);

    if (wrong == REASON_stale)
        pool_note_closed(to, age_of(idle, now));
    if (wrong == REASON_poisoned)
        pool_note_closed(to, 0);
    return wrong;
}

enum reason pool_examine(const struct endpoint *to, const struct idle *idle)
{
    return examine_and_learn(to, idle, ops->now_ms());
}

int pool_lease(const struct endpoint *to, const struct wanted *wanted, struct idle *out, enum reason *why)
{
    uint64_t now = ops->now_ms();
    enum reason wrong = REASON_none, missing;

    while (take(to, wanted, out, &missing, now)) {
        out->unseen = wanted->any && out->proven && age_of(out, now) < MOMENT_MS && !is_expired(out, now);
        if (out->unseen)
            return 0;
        wrong = examine_and_learn(to, out, now);
        if (wrong == REASON_none)
            return 0;
        ops->discard(out, wrong);
    }
    *why = wrong != REASON_none ? wrong : missing;
    return -ENOENT;
}

/* Under the lock.  Evicts what is too much, which is the new one itself when a cap is 0. */
static enum reason keep(struct site *site, const struct idle *idle, struct removals *gone)
{
    struct entry *entry = table_add(&table, site, idle), *victim = NULL;

    if (!entry) {
        table_release(&table, site);
        return REASON_no_memory;
    }
    if (site->count > most_per_endpoint)
        victim = site->oldest;
    else if (table.entries > most_total)
        victim = table.oldest;
    if (victim)
        take_out(victim, REASON_pool_full, gone);
    return victim == entry ? REASON_pool_full : REASON_none;
}

static enum reason try_keep(const struct endpoint *to, const struct idle *idle, uint64_t now,
                            struct removals *gone)
{
    struct site *site = table_need(&table, to);

    if (!site)
        return REASON_no_memory;
    if (site->closer_until > now)
        return REASON_closer;
    return keep(site, idle, gone);
}

enum reason pool_park(const struct endpoint *to, const struct idle *idle)
{
    struct removals gone;
    struct idle parked = *idle;
    enum reason why;

    begin(&gone);
    parked.parked_ms = ops->now_ms();
    why = useless(idle, parked.parked_ms);
    if (why == REASON_none && !lock_take(&pool_lock)) {
        why = REASON_no_memory;
    } else if (why == REASON_none) {
        why = try_keep(to, &parked, parked.parked_ms, &gone);
        look_around(parked.parked_ms, &gone);
        lock_give(&pool_lock);
    }
    discard_all(&gone);
    if (why != REASON_none && why != REASON_pool_full)
        ops->discard(&parked, why);
    return why;
}

enum reason pool_refusal(const struct endpoint *to, const struct idle *idle)
{
    uint64_t now = ops->now_ms();
    enum reason why = useless(idle, now);

    if (why != REASON_none || !lock_take(&pool_lock))
        return why;
    struct site *site = table.closers ? table_find(&table, to) : NULL;
    bool closer = site && site->closer_until > now;
    lock_give(&pool_lock);
    return closer ? REASON_closer : REASON_none;
}

int pool_take_any(struct endpoint *to, struct idle *out)
{
    if (!lock_take(&pool_lock))
        return -ENOENT;
    struct entry *entry = table.oldest;
    if (entry) {
        *to = entry->site->endpoint;
        table_remove(&table, entry, out);
    }
    lock_give(&pool_lock);
    return entry ? 0 : -ENOENT;
}

void pool_note_closed(const struct endpoint *to, uint64_t idle_ms)
{
    uint64_t now = ops->now_ms();
    struct site *site;

    if (idle_ms > CLOSER_IDLE_MS || !lock_take(&pool_lock))
        return;
    site = table_need(&table, to);
    if (site)
        table_closer(&table, site, now + CLOSER_MS);
    if (table.closers > CLOSERS_MOST)
        table_forget_closer(&table, table.closer_oldest);
    lock_give(&pool_lock);
}

unsigned pool_shed(unsigned n)
{
    unsigned shed = 0;

    while (shed < n) {
        struct removals gone = { .count = 0 };

        if (!lock_take(&pool_lock))
            break;
        while (shed + gone.count < n && has_room(&gone) && table.oldest)
            take_out(table.oldest, REASON_no_private_fd, &gone);
        lock_give(&pool_lock);
        if (gone.count == 0)
            break;
        discard_all(&gone);
        shed += gone.count;
    }
    return shed;
}

/* Under the lock. */
static void take_out_place(const struct endpoint *to, struct removals *gone)
{
    struct entry *next;

    for (struct entry *entry = table.oldest; entry && has_room(gone); entry = next) {
        next = entry->age_newer;
        if (endpoint_same_place(&entry->site->endpoint, to))
            take_out(entry, REASON_one_at_a_time, gone);
    }
}

unsigned pool_release_place(const struct endpoint *to)
{
    unsigned released = 0;

    for (;;) {
        struct removals gone = { .count = 0 };

        if (!lock_take(&pool_lock))
            return released;
        take_out_place(to, &gone);
        lock_give(&pool_lock);
        discard_all(&gone);
        released += gone.count;
        if (has_room(&gone))
            return released;
    }
}

void pool_abandon(void (*each)(const struct idle *idle))
{
    table_each(&table, each);
    table_reset(&table);
}

unsigned pool_count(void)
{
    unsigned count;
    bool taken = lock_take(&pool_lock);

    count = table.entries;
    if (taken)
        lock_give(&pool_lock);
    return count;
}
