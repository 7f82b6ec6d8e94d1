/* SPDX-License-Identifier: ISC */
/* chaos: an answer whose faults depend on nothing but a seed and the request's own number, both in its
 * target, /chaos/SEED/NUMBER: so that two clients, one direct and one not, can be compared.  What the
 * server does to an idle connection (struct mood) comes after an answer is over, and must not matter to
 * anybody.
 *
 *   chaos.c       what a number stands for
 *   chaos_send.c  sends that
 *   mood.c        the time between two requests
 *                 /mood/KIND/MICROSECONDS: an answer, and then that; 7 (LATEST): a second answer as
 *                 late as can be, when the next request has come
 *   replay.c      /replay and /dead: an origin that breaks reused connections */
#ifndef ORIGIN_CHAOS_H
#define ORIGIN_CHAOS_H

#include "origin.h"

enum frame { FRAME_LENGTH, FRAME_CHUNKED, FRAME_CLOSE };
enum finish { FINISH_FIN, FINISH_RESET };
enum sin {
    SIN_NONE,
    SIN_CUT_HEAD,     /* ends after `at` bytes of the head */
    SIN_CUT_BODY,     /* ends after `at` bytes of the body */
    SIN_SHORT_LENGTH, /* more bytes follow than Content-Length, or the last chunk, says */
    SIN_LONG_LENGTH,  /* fewer */
    SIN_BAD_CHUNK,    /* after `at` bytes of the body */
    SIN_BAD_HEAD,
    SIN_EARLY,     /* answers before the body is read */
    SIN_SLAM,      /* closes without an answer, before the body is read */
    SIN_NO_ANSWER, /* ... after it was read */
};
enum pace { PACE_WHOLE, PACE_HEAD_BYTES, PACE_BODY_PIECES, PACE_STALL };
enum persist_words { SAYS_NOTHING, SAYS_KEEP_ALIVE, SAYS_TIMEOUT_1, SAYS_MAX_1, SAYS_BOTH, SAYS_CLOSE };

/* Numbers to draw from; the same seed gives the same ones. */
struct dice {
    uint64_t state;
};
void dice_init(struct dice *d, uint64_t seed, uint64_t number);
/* 0 <= result < n. */
long long dice_draw(struct dice *d, long long n);

struct chaos {
    uint64_t number;
    int status, minor, interim;
    enum frame frame;
    enum sin sin;
    enum finish finish;
    enum pace pace;
    enum persist_words words;
    int kind;         /* which of the bad chunks, heads, spare bytes */
    long long length; /* of the body */
    long long chunk;  /* bytes a chunk */
    long long at;
    long stall_us;
    struct mood mood; /* afterwards, if the connection persists */
};

/* What this number stands for. */
void chaos_plan(struct chaos *p, uint64_t seed, uint64_t number, bool has_body);
/* Reads the rest of the request and answers it: AFTER_*. */
int chaos_reply(struct conn *c, struct request *r, uint64_t seed, uint64_t number);
/* An end by reset, not before all that was sent has arrived.  AFTER_*. */
int chaos_finish(const struct conn *c, enum finish finish);

int replay_reply(struct conn *c, struct request *r, uint64_t seed, uint64_t number, bool dead);

/* /mood */
int mood_reply(struct conn *c, struct request *r, uint64_t kind, uint64_t delay_us);

/* "/name/SEED/NUMBER" */
bool chaos_path(const struct request *r, const char *name, uint64_t *seed, uint64_t *number);

#endif
