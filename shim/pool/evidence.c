/* SPDX-License-Identifier: ISC */
#include "pool/evidence.h"

#include <string.h>

static const uint32_t seconds_of[EVIDENCE_count] = {
#define EVIDENCE(name, seconds, sentence) [EVIDENCE_##name] = seconds,
#include "pool/evidence.def"
#undef EVIDENCE
};

uint32_t evidence_seconds(enum evidence what)
{
    return (unsigned)what < EVIDENCE_count ? seconds_of[what] : 0;
}

/* No pointers: the loader would have to relocate them in every program. */
static const struct {
    char word[24], sentence[96];
} texts_of[EVIDENCE_count] = {
#define EVIDENCE(name, seconds, sentence) [EVIDENCE_##name] = { #name, sentence },
#include "pool/evidence.def"
#undef EVIDENCE
};

#define EVIDENCE(name, seconds, text) \
    _Static_assert(sizeof #name <= sizeof texts_of->word && sizeof text <= sizeof texts_of->sentence, "fits");
#include "pool/evidence.def"
#undef EVIDENCE

const char *evidence_sentence(enum evidence what)
{
    return (unsigned)what < EVIDENCE_count ? texts_of[what].sentence : "";
}

const char *evidence_word(enum evidence what)
{
    return (unsigned)what < EVIDENCE_count ? texts_of[what].word : "";
}

/* ---- places ---- */

/* What facts are not about, for their hashes. */
enum { ABOUT_TRIAL = EVIDENCE_count, ABOUT_NAME };

static struct endpoint place_of(const struct endpoint *to)
{
    struct endpoint place = endpoint_place(to);

    place.netns = to->netns;
    return place;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* The high half tells one from others, the low half says where to look.  An IPv4 address and what maps it into
 * IPv6 are one. */
static uint64_t hash_of(const struct endpoint *to, unsigned about)
{
    uint64_t address[2];

    memcpy(address, to->address, sizeof address);
    if (to->family == AF_INET) {
        memcpy((char *)address + 12, to->address, 4);
        memcpy((char *)address + 8, (const uint8_t[]){ 0, 0, 0xff, 0xff }, 4);
        address[0] = 0;
    }
    uint64_t hash = mix(mix(about + 1, address[0]), address[1]);
    return mix(mix(hash, (uint64_t)to->scope << 32 | to->port), to->netns);
}

/* ---- facts: a word is tag << 32 | until; 0: none ---- */

static uint32_t tag_of(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

/* Of any fact: a time that is too far off was not written here. */
static uint32_t left_of(uint64_t word, uint32_t most, uint32_t now_s)
{
    uint32_t until = (uint32_t)word;

    return until > now_s && until - now_s <= most ? until - now_s : 0;
}

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static bool change(_Atomic uint64_t *word, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(word, &from, to, memory_order_relaxed, memory_order_relaxed);
}

uint32_t evidence_table_left(const struct evidence_table *table, const struct endpoint *to, enum evidence what,
                             uint32_t now_s)
{
    uint64_t hash = hash_of(to, what);
    const _Atomic uint64_t *bucket = table->facts[hash % EVIDENCE_BUCKETS];

    for (unsigned i = 0; i < EVIDENCE_WAYS; i++) {
        uint64_t word = get(&bucket[i]);
        uint32_t left = tag_of(word) == tag_of(hash) ? left_of(word, evidence_seconds(what), now_s) : 0;
        if (left)
            return left;
    }
    return 0;
}

/* Where a fact is, or else is to be written: over nothing, what has expired, or what expires first. */
static unsigned choose(const _Atomic uint64_t *bucket, uint32_t tag, uint32_t now_s, uint64_t *word)
{
    uint32_t least = UINT32_MAX;
    unsigned chosen = 0;

    for (unsigned i = 0; i < EVIDENCE_WAYS; i++) {
        uint64_t seen = get(&bucket[i]);
        uint32_t left = left_of(seen, UINT32_MAX, now_s);
        if (tag_of(seen) == tag) {
            *word = seen;
            return i;
        }
        if (left < least) {
            least = left;
            chosen = i;
            *word = seen;
        }
    }
    return chosen;
}

static void write_name(struct evidence_table *table, const struct endpoint *to);

static void has_changed(struct evidence_table *table)
{
    atomic_fetch_add_explicit(&table->changes, 1, memory_order_release);
}

/* One that was noted a moment ago is not written again: all processors would have to fetch the line. */
bool evidence_table_note(struct evidence_table *table, const struct endpoint *to, enum evidence what,
                         uint32_t now_s)
{
    uint64_t hash = hash_of(to, what), word = 0;
    _Atomic uint64_t *bucket = table->facts[hash % EVIDENCE_BUCKETS];
    uint32_t most = evidence_seconds(what), left;

    for (int tries = 0; most && tries < EVIDENCE_WAYS; tries++) {
        unsigned i = choose(bucket, tag_of(hash), now_s, &word);
        left = tag_of(word) == tag_of(hash) ? left_of(word, most, now_s) : 0;
        if (left > most - most / 16)
            return false;
        if (!change(&bucket[i], word, (uint64_t)tag_of(hash) << 32 | (now_s + most)))
            continue;
        if (!left) {
            write_name(table, to);
            has_changed(table);
        }
        return !left;
    }
    return false;
}

bool evidence_table_forget(struct evidence_table *table, const struct endpoint *to, enum evidence what,
                           uint32_t now_s)
{
    uint64_t hash = hash_of(to, what);
    _Atomic uint64_t *bucket = table->facts[hash % EVIDENCE_BUCKETS];
    bool held = false;

    for (unsigned i = 0; i < EVIDENCE_WAYS; i++) {
        uint64_t word = get(&bucket[i]);
        if (word && tag_of(word) == tag_of(hash) && change(&bucket[i], word, 0))
            held = held || left_of(word, evidence_seconds(what), now_s);
    }
    if (held)
        has_changed(table);
    return held;
}

/* ---- trials: a word is tag (20 bits), process (22, the most that Linux has), namespace (6), until (16) ---- */

static uint64_t trial_of(uint64_t hash, const struct evidence_who *who, uint16_t until)
{
    return hash >> 44 << 44 | (uint64_t)(who->pid & 0x3fffff) << 22 | (uint64_t)(who->space & EVIDENCE_SPACE_MASK) << 16 | until;
}

static uint32_t pid_of(uint64_t word)
{
    return (uint32_t)(word >> 22) & 0x3fffff;
}

static bool goes_on(uint64_t word, const struct evidence_who *who, uint32_t now_s)
{
    uint16_t left = (uint16_t)((uint16_t)word - (uint16_t)now_s);

    if (left == 0 || left > EVIDENCE_TRIAL_S)
        return false;
    return !who->is_gone(pid_of(word), word >> 16 & EVIDENCE_SPACE_MASK);
}

/* The word of a place's trial, or one that could be: NULL: all are taken. */
static _Atomic uint64_t *find_trial(struct evidence_table *table, uint64_t hash, const struct evidence_who *who,
                                    uint32_t now_s, uint64_t *word)
{
    _Atomic uint64_t *set = table->trials[hash % EVIDENCE_TRIALS], *room = NULL;

    for (unsigned i = 0; i < EVIDENCE_TRIAL_WAYS; i++) {
        uint64_t seen = get(&set[i]);
        bool its = seen && seen >> 44 == hash >> 44;
        if (its || (!room && (!seen || !goes_on(seen, who, now_s)))) {
            room = &set[i];
            *word = seen;
        }
        if (its)
            break;
    }
    return room;
}

static enum evidence_trial trial(struct evidence_table *table, const struct endpoint *to,
                                 const struct evidence_who *who, uint32_t now_s, bool take)
{
    uint64_t hash = hash_of(to, ABOUT_TRIAL), word = 0;
    _Atomic uint64_t *at = find_trial(table, hash, who, now_s, &word);
    bool its = word && word >> 44 == hash >> 44;

    if (!at || (its && goes_on(word, who, now_s)))
        return EVIDENCE_TAKEN;
    if (its)
        return change(at, word, 0) ? EVIDENCE_FAILED : EVIDENCE_TAKEN;
    if (take && !change(at, word, trial_of(hash, who, (uint16_t)(now_s + EVIDENCE_TRIAL_S))))
        return EVIDENCE_TAKEN;
    return EVIDENCE_FREE;
}

enum evidence_trial evidence_table_trial(struct evidence_table *table, const struct endpoint *to,
                                         const struct evidence_who *who, uint32_t now_s)
{
    return trial(table, to, who, now_s, false);
}

enum evidence_trial evidence_table_try(struct evidence_table *table, const struct endpoint *to,
                                       const struct evidence_who *who, uint32_t now_s)
{
    return trial(table, to, who, now_s, true);
}

bool evidence_table_tried(struct evidence_table *table, const struct endpoint *to, const struct evidence_who *who)
{
    uint64_t hash = hash_of(to, ABOUT_TRIAL), its = trial_of(hash, who, 0);
    _Atomic uint64_t *set = table->trials[hash % EVIDENCE_TRIALS];

    for (unsigned i = 0; i < EVIDENCE_TRIAL_WAYS; i++) {
        uint64_t word = get(&set[i]);
        if (word && word >> 16 == its >> 16)
            return change(&set[i], word, 0);
    }
    return false;
}

/* ---- names: address (two words), port and a check and the scope, namespace ---- */

static void name_of(const struct endpoint *to, uint64_t words[4])
{
    struct endpoint place = place_of(to);
    uint16_t check = (uint16_t)(hash_of(to, ABOUT_NAME) >> 48);

    memcpy(words, place.address, 16);
    words[2] = (uint64_t)place.scope << 32 | (uint32_t)check << 16 | place.port;
    words[3] = place.netns;
}

static void write_name(struct evidence_table *table, const struct endpoint *to)
{
    struct evidence_name *name = &table->names[hash_of(to, ABOUT_NAME) % EVIDENCE_NAMES];
    uint64_t words[4];

    name_of(to, words);
    for (int i = 0; i < 4; i++)
        if (get(&name->words[i]) != words[i])
            atomic_store_explicit(&name->words[i], words[i], memory_order_relaxed);
}

static bool is_mapped(const struct endpoint *e)
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

    return memcmp(e->address, prefix, sizeof prefix) == 0;
}

/* False: nobody's, or one is being written. */
static bool read_name(const struct evidence_name *name, struct endpoint *place)
{
    uint64_t words[4], again[4];

    for (int i = 0; i < 4; i++)
        words[i] = get(&name->words[i]);
    *place = (struct endpoint){ .family = AF_INET6, .port = (uint16_t)words[2], .scope = (uint32_t)(words[2] >> 32),
                                .netns = words[3] };
    memcpy(place->address, words, 16);
    name_of(place, again);
    if (!place->port || memcmp(words, again, sizeof words) != 0)
        return false;
    if (is_mapped(place)) {
        place->family = AF_INET;
        memcpy(place->address, (const uint8_t *)words + 12, 4);
        memset(place->address + 4, 0, 12);
    }
    return true;
}

void evidence_table_each(const struct evidence_table *table, uint32_t now_s,
                         void (*show)(void *arg, const struct endpoint *place, enum evidence what, uint32_t left_s),
                         void *arg)
{
    struct endpoint place;

    for (unsigned i = 0; i < EVIDENCE_NAMES; i++) {
        if (!read_name(&table->names[i], &place))
            continue;
        for (unsigned what = 0; what < EVIDENCE_count; what++) {
            uint32_t left = evidence_table_left(table, &place, (enum evidence)what, now_s);
            if (left)
                show(arg, &place, (enum evidence)what, left);
        }
    }
}

void evidence_table_clear(struct evidence_table *table)
{
    for (unsigned i = 0; i < EVIDENCE_BUCKETS; i++)
        for (unsigned k = 0; k < EVIDENCE_WAYS; k++)
            atomic_store_explicit(&table->facts[i][k], 0, memory_order_relaxed);
    has_changed(table);
}
