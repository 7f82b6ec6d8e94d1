/* SPDX-License-Identifier: ISC */
/* What a seed and a number stand for.  See chaos.h. */
#include "chaos.h"

#include <stdlib.h>
#include <string.h>

/* splitmix64 */
static uint64_t next(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void dice_init(struct dice *d, uint64_t seed, uint64_t number)
{
    d->state = seed * 0xd1342543de82ef95u + number * 0x2545f4914f6cdd1du;
    next(d);
}

long long dice_draw(struct dice *d, long long n)
{
    return n <= 1 ? 0 : (long long)(next(d) % (uint64_t)n);
}

bool chaos_path(const struct request *r, const char *name, uint64_t *seed, uint64_t *number)
{
    size_t n = strlen(name);
    char *end;

    if (strncmp(r->path, name, n) != 0 || r->path[n] != '/')
        return false;
    *seed = strtoull(r->path + n + 1, &end, 10);
    *number = *end == '/' ? strtoull(end + 1, NULL, 10) : 0;
    return true;
}

static long long draw_length(struct dice *d)
{
    long long sort = dice_draw(d, 100);

    if (sort < 10)
        return 0;
    if (sort < 40)
        return 1 + dice_draw(d, 100);
    if (sort < 75)
        return 100 + dice_draw(d, 5000);
    if (sort < 95)
        return 5000 + dice_draw(d, 65000);
    return 70000 + dice_draw(d, 230000);
}

static int draw_status(struct dice *d)
{
    static const int others[] = { 204, 304, 404, 500, 206, 403, 201, 503 };
    long long sort = dice_draw(d, 100);

    return sort < 70 ? 200 : others[sort % 8];
}

static enum sin draw_sin(struct dice *d, bool has_body)
{
    static const enum sin sins[] = {
        SIN_CUT_HEAD, SIN_CUT_BODY, SIN_SHORT_LENGTH, SIN_LONG_LENGTH, SIN_BAD_CHUNK,
        SIN_BAD_HEAD, SIN_EARLY,    SIN_SLAM,         SIN_NO_ANSWER,   SIN_CUT_BODY,
    };
    enum sin sin = dice_draw(d, 100) < 60 ? SIN_NONE : sins[dice_draw(d, 10)];

    return sin == SIN_EARLY && !has_body ? SIN_NONE : sin;
}

/* Only what a sin needs to be one, and to be the same each time. */
static void fit_sin(struct chaos *p, struct dice *d)
{
    enum { ONE_SEND = 30000 };

    p->kind = (int)dice_draw(d, 8);
    if (p->frame == FRAME_CHUNKED || p->sin == SIN_BAD_CHUNK)
        p->minor = 1; /* chunks in HTTP/1.0 are nonsense of another kind */
    p->finish = dice_draw(d, 3) == 0 ? FINISH_RESET : FINISH_FIN;
    if (p->sin == SIN_BAD_CHUNK)
        p->frame = FRAME_CHUNKED;
    if (p->sin == SIN_LONG_LENGTH || (p->sin == SIN_SHORT_LENGTH && p->frame == FRAME_CLOSE))
        p->frame = FRAME_LENGTH;
    /* What is too much goes out in the same segment: it must be there before the next request is. */
    if ((p->sin == SIN_SHORT_LENGTH || p->sin == SIN_EARLY) && p->length > ONE_SEND)
        p->length %= ONE_SEND;
    if (p->sin == SIN_SHORT_LENGTH)
        p->pace = PACE_WHOLE;
    if (p->sin == SIN_CUT_BODY && p->length == 0)
        p->sin = SIN_NONE;
    p->at = dice_draw(d, p->sin == SIN_CUT_HEAD ? 60 : p->length);
}

static void draw_pace(struct chaos *p, struct dice *d)
{
    long long sort = dice_draw(d, 100);

    p->pace = sort < 82   ? PACE_WHOLE
              : sort < 88 ? PACE_HEAD_BYTES
              : sort < 94 ? PACE_BODY_PIECES
                          : PACE_STALL;
    p->stall_us = 500 + (long)dice_draw(d, 15000);
}

/* A third of the seeds leaves idle connections in peace, a third disturbs few, a third many. */
static void draw_mood(struct mood *mood, struct dice *d, uint64_t seed)
{
    static const int events[] = { 0, 2, 15 };

    mood->kind = MOOD_CALM;
    mood->delay_us = dice_draw(d, 4) == 0 ? 0 : (long)dice_draw(d, 4000);
    if (dice_draw(d, 100) < events[seed % 3])
        mood->kind = 1 + (int)dice_draw(d, MOOD_COUNT - 1);
}

void chaos_plan(struct chaos *p, uint64_t seed, uint64_t number, bool has_body)
{
    static const enum persist_words words[] = { SAYS_NOTHING,    SAYS_NOTHING,   SAYS_NOTHING, SAYS_KEEP_ALIVE,
                                                SAYS_KEEP_ALIVE, SAYS_TIMEOUT_1, SAYS_MAX_1,   SAYS_BOTH,
                                                SAYS_BOTH,       SAYS_CLOSE };
    static const enum frame frames[] = { FRAME_LENGTH, FRAME_LENGTH, FRAME_LENGTH, FRAME_CHUNKED,
                                         FRAME_CHUNKED, FRAME_CLOSE };
    struct dice d;

    dice_init(&d, seed, number);
    memset(p, 0, sizeof(*p));
    p->number = number;
    p->length = draw_length(&d);
    p->status = draw_status(&d);
    p->minor = dice_draw(&d, 100) < 95;
    p->interim = dice_draw(&d, 100) < 90 ? 0 : 1 + (int)dice_draw(&d, 3);
    p->frame = frames[dice_draw(&d, 6)];
    p->words = words[dice_draw(&d, 10)];
    p->chunk = 1 + dice_draw(&d, p->length < 1000 ? 100 : 9000);
    if (p->minor == 0 && p->words == SAYS_NOTHING)
        p->words = SAYS_KEEP_ALIVE; /* in HTTP/1.0 silence means close */
    draw_pace(p, &d);
    draw_mood(&p->mood, &d, seed);
    p->sin = draw_sin(&d, has_body);
    fit_sin(p, &d);
}
