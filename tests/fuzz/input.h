/* SPDX-License-Identifier: ISC */
/* input: what a fuzzer gives, read as a conversation.  Eight bytes seed the cuts; then come the
 * turns, the client's first, with 0xFE between them.  So that short inputs reach far limits, 0xFD, a byte
 * and n stand for that byte 256 * n times; 0xFC, k and n repeat the k bytes before n times. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#define GUARD_HEAP
#include "unit/http/play.h"

#define FUZZ_TURNS 8
#define FUZZ_ROOM (72u * 1024) /* more than a head may be long */
#define FUZZ_NEXT_TURN '\xFE'
#define FUZZ_RUN '\xFD'
#define FUZZ_REPEAT '\xFC'

struct fuzz_input {
    uint64_t seed;
    size_t turns, len;
    struct slice turn[FUZZ_TURNS];
    char room[FUZZ_ROOM];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* xorshift64 */
static inline size_t fuzz_below(uint64_t *seed, size_t n)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (size_t)(*seed % n);
}

static inline void fuzz_seed(struct fuzz_input *input, const uint8_t **data, size_t *len)
{
    input->seed = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 8 && *len > 0; i++, ++*data, --*len)
        input->seed ^= (uint64_t) * *data << (8 * i);
    input->seed |= input->seed == 0;
}

static inline void fuzz_add(struct fuzz_input *input, char c)
{
    if (input->len == FUZZ_ROOM)
        return;
    input->room[input->len++] = c;
    input->turn[input->turns - 1].len++;
}

/* One byte, or many; returns how many of the data they took. */
static inline size_t fuzz_put(struct fuzz_input *input, const char *at, size_t left)
{
    size_t n = left >= 3 ? (unsigned char)at[2] : 0, k = left >= 3 ? (unsigned char)at[1] : 0;

    if (n > 0 && *at == FUZZ_RUN) {
        for (size_t i = 0; i < 256 * n; i++)
            fuzz_add(input, at[1]);
    } else if (n > 0 && *at == FUZZ_REPEAT && k > 0 && k <= input->turn[input->turns - 1].len) {
        for (size_t i = 0; i < k * n; i++)
            fuzz_add(input, input->room[input->len - k]);
    } else {
        fuzz_add(input, *at);
        return 1;
    }
    return 3;
}

static inline void fuzz_read(struct fuzz_input *input, const uint8_t *data, size_t len)
{
    const char *at, *end;

    fuzz_seed(input, &data, &len);
    input->len = 0;
    input->turns = 1;
    input->turn[0] = (struct slice){ input->room, 0 };
    at = (const char *)data;
    end = at + len;
    while (at < end) {
        if (*at == FUZZ_NEXT_TURN && input->turns < FUZZ_TURNS) {
            input->turn[input->turns++] = (struct slice){ input->room + input->len, 0 };
            at++;
        } else {
            at += fuzz_put(input, at, (size_t)(end - at));
        }
    }
}

/* How an input is cut. */
enum fuzz_cut { FUZZ_WHOLE, FUZZ_BYTES, FUZZ_PIECES, FUZZ_CRUMBS, FUZZ_CUTS };

/* The length of the next piece of `left` bytes.  Long inputs are not looked at byte by byte: that takes
 * time that is better spent on other inputs. */
static inline size_t fuzz_piece(enum fuzz_cut cut, uint64_t *seed, size_t total, size_t left)
{
    size_t least = total > 4096 ? total / 64 : 1, n = left;

    if (cut == FUZZ_BYTES)
        n = least;
    else if (cut == FUZZ_PIECES)
        n = least + fuzz_below(seed, total);
    else if (cut == FUZZ_CRUMBS)
        n = least + fuzz_below(seed, 9);
    return n < left ? n : left;
}

static inline void fuzz_feed(struct play *p, play_fn *feed, struct slice input, enum fuzz_cut cut,
                             uint64_t seed)
{
    for (size_t at = 0, n; at < input.len; at += n) {
        n = fuzz_piece(cut, &seed, input.len, input.len - at);
        feed(p, input.data + at, n);
    }
}

/* All turns of one side, one after the other. */
static inline struct slice fuzz_side(const struct fuzz_input *input, size_t side, struct play_buffer *room)
{
    room->len = 0;
    for (size_t i = side; i < input->turns; i += 2)
        play_append(room, input->turn[i].data, input->turn[i].len);
    return (struct slice){ room->data, room->len };
}

#endif
