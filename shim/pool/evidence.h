/* SPDX-License-Identifier: ISC */
/* evidence: what is known of servers, each fact for a time (evidence.def), and the one trial at a time of each.
 *
 * A table of fixed size that may lie in memory which others write into (pool/board.h): each entry is one atomic
 * word, is believed only if its times are such as are written here, and is never an index, a length or a
 * pointer.  A server is known by its place (pool/endpoint.h) and its network namespace, whoever connects to it
 * and how.  Two places may look alike once in a billion; where there are very many, facts are lost.  No lock, no
 * call, no clock: times are seconds of EVIDENCE_CLOCK, so that all processes mean the same. */
#ifndef HOLDFAST_POOL_EVIDENCE_H
#define HOLDFAST_POOL_EVIDENCE_H

#include "pool/endpoint.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum evidence {
#define EVIDENCE(name, seconds, sentence) EVIDENCE_##name,
#include "pool/evidence.def"
#undef EVIDENCE
    EVIDENCE_count
};

#define EVIDENCE_CLOCK CLOCK_MONOTONIC_COARSE

enum {
    EVIDENCE_BUCKETS = 1024,
    EVIDENCE_WAYS = 8, /* a cache line */
    EVIDENCE_NAMES = 512,
    EVIDENCE_TRIALS = 512,
    EVIDENCE_TRIAL_WAYS = 4,
    EVIDENCE_TRIAL_S = 60, /* for so long a trial may take */
};

/* All zero: nothing is known. */
struct evidence_table {
    _Atomic uint32_t changes; /* grows with each fact that begins or ceases to hold by a call below */
    _Atomic uint64_t facts[EVIDENCE_BUCKETS][EVIDENCE_WAYS];
    _Atomic uint64_t trials[EVIDENCE_TRIALS][EVIDENCE_TRIAL_WAYS];
    struct evidence_name {
        _Atomic uint64_t words[4];
    } names[EVIDENCE_NAMES]; /* of the places, for people only */
};

/* Both answer for any value: 0 and "" for what is no fact. */
uint32_t evidence_seconds(enum evidence what);
const char *evidence_sentence(enum evidence what);
const char *evidence_word(enum evidence what); /* its name, as in SAID_SO */

/* For how many seconds it holds yet; 0: it does not. */
uint32_t evidence_table_left(const struct evidence_table *table, const struct endpoint *to, enum evidence what,
                             uint32_t now_s);

/* Another answer than before: ask again. */
static inline uint32_t evidence_table_changes(const struct evidence_table *table)
{
    return atomic_load_explicit(&table->changes, memory_order_relaxed);
}

/* It holds for its time from now on.  True: it did not hold before. */
bool evidence_table_note(struct evidence_table *table, const struct endpoint *to, enum evidence what,
                         uint32_t now_s);

/* True: it did hold. */
bool evidence_table_forget(struct evidence_table *table, const struct endpoint *to, enum evidence what,
                           uint32_t now_s);

/* Who tries: a process, in which process namespace (any number that tells one from others); and how to ask
 * whether another one is gone.  Of the number of a namespace six bits are kept. */
struct evidence_who {
    uint32_t pid, space;
    bool (*is_gone)(uint32_t pid, uint32_t space);
};
enum { EVIDENCE_SPACE_MASK = 0x3f };

enum evidence_trial {
    EVIDENCE_FREE,   /* nobody tries */
    EVIDENCE_TAKEN,  /* somebody does */
    EVIDENCE_FAILED, /* somebody did, and is gone, or has had no result in EVIDENCE_TRIAL_S */
};

/* How it is with the trial of a place, whoever asks.  A failed one is reported once, and is free then. */
enum evidence_trial evidence_table_trial(struct evidence_table *table, const struct endpoint *to,
                                         const struct evidence_who *who, uint32_t now_s);

/* The same, and if it was free, it is `who`'s from now on, and EVIDENCE_FREE returned. */
enum evidence_trial evidence_table_try(struct evidence_table *table, const struct endpoint *to,
                                       const struct evidence_who *who, uint32_t now_s);

/* Frees a trial that `who` has; true: it had it. */
bool evidence_table_tried(struct evidence_table *table, const struct endpoint *to, const struct evidence_who *who);

/* Shows all that holds, of as many places as there are names of: `place` is an endpoint without a user and
 * options, AF_INET for what maps IPv4 into IPv6.  `arg` goes to `show`. */
void evidence_table_each(const struct evidence_table *table, uint32_t now_s,
                         void (*show)(void *arg, const struct endpoint *place, enum evidence what, uint32_t left_s),
                         void *arg);

/* Forgets everything but running trials. */
void evidence_table_clear(struct evidence_table *table);

#endif
