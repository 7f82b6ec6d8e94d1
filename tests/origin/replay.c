/* SPDX-License-Identifier: ISC */
/* /replay/SEED/NUMBER: answers every request on a fresh connection, and breaks some of the reused ones,
 * as the seed and the number say.  /dead/SEED/NUMBER: eight numbers are answered, of the next eight every
 * request is taken and none answered, on whatever connection. */
#include "chaos.h"

#include <string.h>

enum fate {
    FATE_ANSWER,
    FATE_FIN_BEFORE_BODY,
    FATE_RESET_BEFORE_BODY,
    FATE_FIN_AFTER,   /* the whole request was taken: it counts as executed */
    FATE_RESET_AFTER,
    FATE_COUNT,
};

static enum fate draw_fate(struct dice *d)
{
    return dice_draw(d, 100) < 75 ? FATE_ANSWER : 1 + (enum fate)dice_draw(d, FATE_COUNT - 1);
}

static void answer(struct conn *c, const struct request *r, uint64_t number, long long length)
{
    struct out o = { .fd = c->fd, .left = -1 };

    out_text(&o, "HTTP/1.1 200 OK\r\nServer: origin\r\nX-Number: %llu\r\nX-Method: %s\r\nContent-Length: %lld\r\n",
             (unsigned long long)number, r->method, length);
    if (r->body_bytes > 0)
        out_text(&o, "X-Body: %llu %016llx\r\n", (unsigned long long)r->body_bytes,
                 (unsigned long long)r->body_hash);
    out_bytes(&o, "\r\n", 2);
    if (strcmp(r->method, "HEAD") != 0)
        reply_pattern(&o, number * 104729, length);
    out_flush(&o);
}

static int after_answer(struct conn *c, const struct request *r, struct dice *d)
{
    if (r->says_close || (r->minor == 0 && !r->says_keep_alive))
        return AFTER_CLOSE;
    c->mood.kind = dice_draw(d, 100) < 2 ? (dice_draw(d, 2) ? MOOD_CLOSE : MOOD_RESET) : MOOD_CALM;
    c->mood.delay_us = (long)dice_draw(d, 2000);
    return AFTER_PERSIST;
}

int replay_reply(struct conn *c, struct request *r, uint64_t seed, uint64_t number, bool dead)
{
    struct dice d;
    enum fate fate;
    long long length;

    dice_init(&d, seed, number);
    length = dice_draw(&d, 20) == 0 ? dice_draw(&d, 200000) : dice_draw(&d, 2000);
    fate = draw_fate(&d);
    if (dead)
        fate = number / 8 % 2 == 0 ? FATE_ANSWER : FATE_FIN_AFTER + (enum fate)dice_draw(&d, 2);
    else if (c->requests == 1)
        fate = FATE_ANSWER;
    if (fate == FATE_FIN_BEFORE_BODY || fate == FATE_RESET_BEFORE_BODY) {
        if (r->length <= 0 && !r->chunked)
            book_request(c, r);
        return fate == FATE_FIN_BEFORE_BODY ? AFTER_CLOSE : AFTER_RESET;
    }
    if (request_read_body(c, r) < 0)
        return AFTER_CLOSE;
    book_request(c, r);
    switch (fate) {
    case FATE_FIN_AFTER:
        return AFTER_CLOSE;
    case FATE_RESET_AFTER:
        return AFTER_RESET;
    default:
        answer(c, r, number, length);
        return after_answer(c, r, &d);
    }
}
