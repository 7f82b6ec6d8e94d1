/* SPDX-License-Identifier: ISC */
/* board: a few pages of memory that all processes with the same queues (pool/tree.h) have in common: what
 * they have counted, for people to look at; what the broker has idle, so that nobody asks it in vain; and what is
 * known of servers.
 *
 * Any process of the user may write anything into it: what is read there is a hint, never an index, a
 * length or a pointer.  Its size is sealed (fcntl(2)), so nobody can take a page away under a reader. */
#ifndef HOLDFAST_POOL_BOARD_H
#define HOLDFAST_POOL_BOARD_H

#include "base/reason.h"
#include "pool/endpoint.h"
#include "pool/evidence.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BOARD_BUCKETS = 8192, BOARD_TOKEN = 16 };

#define BOARD_NAME "holdfast-board" /* memfd_create(2) */

enum board_kind { BOARD_TREE = 1, BOARD_BROKER };

/* X(name): what is counted, besides the reasons; the comments are the manual's (scripts/print-keys). */
#define BOARD_COUNTERS(X)                                                                     \
    X(requests)   /* requests whose head was seen */                                          \
    X(connects)   /* connects of programs */                                                  \
    X(fresh)      /* connections that were really opened */                                   \
    X(leased)     /* connects, or first requests, that got an idle connection */              \
    X(taken)      /* leases of a connection that another process, or the broker, had */       \
    X(asked_for)  /* leases of a connection that the broker had, and was asked for */         \
    X(parked)     /* connections that were kept for reuse */                                  \
    X(given)      /* connections that were left to other processes */                         \
    X(hoarded)    /* connections that the broker took over */                                 \
    X(ended)      /* connections that their servers closed while the broker had them */       \
    X(asked)      /* how often a process asked the broker for a connection */                 \
    X(unanswered) /* how often the broker did not answer in time */

struct board_head {
    uint64_t magic;
    uint32_t size; /* of struct board: another build's is not read */
    uint32_t kind;
    char token[BOARD_TOKEN]; /* the queues' */
    uint64_t made_ms;
};

struct board {
    struct board_head head;
    _Atomic uint64_t alone_until_ms; /* nobody asks the broker before */
#define X(name) _Atomic uint64_t name;
    BOARD_COUNTERS(X)
#undef X
    _Atomic uint64_t reasons[REASON_count];
    _Atomic uint8_t hoard[BOARD_BUCKETS]; /* has the broker any, by the endpoint's hash? */
    _Atomic uint32_t full_ms[BOARD_BUCKETS]; /* likewise: low bits of when the queues had no room for one more */
    struct evidence_table evidence;
};

/* A new one, as a close-on-exec fd, or -errno. */
int board_create(enum board_kind kind, const char token[BOARD_TOKEN], uint64_t now_ms);

/* Is it one of this release?  Its kind, and in `token`, which gains no NUL, the queues' that it belongs to; or 0. */
enum board_kind board_read(int fd, char token[BOARD_TOKEN]);

/* Is it one, for these queues?  Its kind, or 0. */
enum board_kind board_check(int fd, const char token[BOARD_TOKEN]);

/* Maps what board_check has found good; NULL: no memory. */
struct board *board_map(int fd);

/* Whether the broker is worth a question. */
bool board_promises(const struct board *board, const struct endpoint *to, uint64_t now_ms);

/* The broker did not answer, or is no more (`for_ms` UINT64_MAX). */
void board_leave_alone(struct board *board, uint64_t now_ms, uint64_t for_ms);

/* The queues have no room for one more to there; for a moment nobody tries again.  To look for it costs some calls for each
 * that lies there. */
void board_note_full(struct board *board, const struct endpoint *to, uint64_t now_ms);
bool board_is_full(const struct board *board, const struct endpoint *to, uint64_t now_ms);

#define board_count(board, name, n) atomic_fetch_add_explicit(&(board)->name, (uint64_t)(n), memory_order_relaxed)

static inline unsigned board_bucket(const struct endpoint *to)
{
    return endpoint_hash(to) % BOARD_BUCKETS;
}

#endif
